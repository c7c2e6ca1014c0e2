import numpy as np
def f32(e): return (e[0].astype(np.int32),e[1].astype(np.int32),e[2].astype(np.float32))
