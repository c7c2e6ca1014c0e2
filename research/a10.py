from ev import *; from g import *
from a5 import hashperm,synth,reps,q_of,PS
from a9 import knear
import sys
def run(E,y,M=2048,k=5,sched=((4,5,0),(4,5,0),(2,5,0),(1,5,1)),dtau=-.10,dT=-.02,pp=.5,verbose=True,seed=0,D=None,kk=64,touch=9,p0=2e-3,grid=False,dd=None,Mall=False):
    D=dist(E) if D is None else D; N=len(E); perm=hashperm(N,seed); r=perm; 
    for it,(m,k,skip) in enumerate(sched):
        if m>1: o=knear(dist(E,synth(E[r],M,m,seed)),k,skip)
        else:
            r=r[:M]; X=D[:,r].copy(); X[r,np.arange(len(r))]=-9; o=knear(X,k,skip)
        C=cal(D,o)
        c=q_of(C,r[:M],[p0])[0] if it else .015
        ed=edges(C,kk,c)
        last=it==len(sched)-1
        a=(dtau,dT,pp) if last or dd is None else dd
        lab=hac(N,ed,c,c+a[0],c+a[1],touch,2,a[2]); res=prf(lab,y)
        r0=r; r=reps(lab,perm,N)
        if verbose:
            print(' it%d m%d k%d s%d c=%.3f e/f %.0f P=%.4f R=%.4f F=%.4f cl=%d lg=%d'%((it,m,k,skip,c,len(ed[0])*2/N)+res),'q',[round(v,3) for v in q_of(C,r[:M],PS)],'next ref ppl',len(np.unique(y[r[:M]])),len(r),'maxdup',np.bincount(y[r[:M]]).max(),flush=True)
    if grid:
        rs=[]
        for pp in (.5,.75,1):
          for dc in (-.02,-.01,0,.01,.02):
            ed=edges(C,kk,c+dc)
            for tau in (-.12,-.11,-.1,-.09,-.08):
              for T in (-.01,-.02,-.03):
                rs.append((pp,dc,tau,T)+tuple(np.round(prf(hac(N,ed,c+dc,c+dc+tau,c+dc+T,touch,2,pp),y),4)))
        rs.sort(key=lambda r:-r[6]); [print('     ',*[float(v) for v in x]) for x in rs[:4]]
    return res,C,r0,o,c
if __name__=='__main__':
    for n in ('lfw_dev_faded','lfw_dev'):
        E,y=load(n); D=dist(E)
        for kw in (dict(),dict(sched=((8,5,0),(4,5,0),(2,5,0),(1,10,10),(1,5,3),(1,5,1))),dict(sched=((16,5,0),(8,5,0),(4,5,0),(2,5,0),(2,5,0),(1,5,1))),dict(dd=(-.09,-.015,.75),sched=((8,5,0),(4,5,0),(2,5,0),(1,10,10),(1,5,5),(1,5,1))),
            dict(dd=(-.08,-.01,.5),sched=((4,5,0),(4,5,0),(1,20,20),(1,10,10),(1,5,5),(1,5,3)))):
            print(n,kw); run(E,y,D=D,grid=True,**kw)
