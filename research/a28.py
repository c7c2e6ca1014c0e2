from c24 import *; from g import hac
from a27x import f32
V=dict(base={},rank3=dict(RANK=3),rank2=dict(RANK=2),M1024=dict(LARGEST_BANK=1024),M1024r3=dict(LARGEST_BANK=1024,RANK=3),B4=dict(BANKS=4),lo800=dict(SMALLEST_BANK=800,LARGEST_BANK=800))
import inspect
src=open('rule.py').read()
S=[]
for n,g,s in (('lfw_dev',0,1),('lfw_dev',0,2),('lfw_dev',0,-1),('lfw_dev',0,3),('lfw_dev_faded',0,1),('lfw_dev_faded',0,-1),('lfw_dev_faded',1,1)):
    E,y=load(n)
    if g: E,y=grow(E,y,seed=4)
    S.append((E,y,rule.rank_of(np.load('../shared/data/embeddings/%s.npz'%n,allow_pickle=True)['F']) if s<0 else hashperm(len(y),s)))
for nm,kw in V.items():
    s2=src
    s2=s2.replace('BANKS, LARGEST_BANK, SMALLEST_BANK = 2, 640, 320','BANKS, LARGEST_BANK, SMALLEST_BANK = %d, %d, %d'%(kw.get('BANKS',2),kw.get('LARGEST_BANK',640),kw.get('SMALLEST_BANK',320))).replace('RANK, SKIP = 5, 1','RANK, SKIP = %d, 1'%kw.get('RANK',5))
    import types,sys; m=types.ModuleType('r2'); m.__dict__['__name__']='r2'; sys.modules['r2']=m; exec(compile(s2,'r2','exec'),m.__dict__)
    row=[]
    for E,y,order in S:
        cal=m.calibrate(E,order,m.fast); o=m.offsets(E,cal); R=cal.reach0-.015; p=prf(hac(len(y),f32(m.edges(E,o,R)),R,R-.1,R,9,2,.5,rho=.25,rs=.15),y); row.append('%.3f/%.3f'%(p[0],p[2]))
    print(nm,row,flush=True)
