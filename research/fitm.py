import world,numpy as np,sys
from base import load
m=int(sys.argv[1])
for n in ('lfw_dev','lfw_dev_faded','archival_portraits'):
    E,y=load(n); w=world.fit(E,y,None if n!='archival_portraits' else load('lfw_dev_faded'),m=m,seed=1)
    S,sy=w.sample(12000,1); print(m,n,'g %.2f s %.3f t %.3f al %.3f'%(w.gamma,w.sigma,w.trace,w.alike),'real',['%.2g'%v for v in world.tail(E,y)],'synth',['%.2g'%v for v in world.tail(S,sy)],flush=True)
