from a16 import *; import rule
E,y=load('lfw_dev'); F=np.load(D if False else '../shared/data/embeddings/lfw_dev.npz',allow_pickle=True)['F']
order=rule.rank_of(F); D_=dist(E)
print(order[:5],len(set(order)))
import a16
a16.hashperm=lambda n,s: order
lab,res,C,r,o,c=a16.run(E,y,M=640,lo=320,B=2,rho=.35,pars=(-.09,-.015,.5))
import random
cal=rule.Calibration(tuple(E[x] for x in r),c); o2=rule.offsets(E,cal); print(abs(o-o2).max(),o.mean())
e=rule.edges(E,o,c-.01); ed=edges(C,64,c-.01); print(len(e[0]),len(ed[0]))
print(prf(rule.group(len(E),*e,c-.01,c-.1,c-.01),y), prf(hac(len(y),ed,c-.01,c-.1,c-.01,9,2,.5,rho=.35),y))
