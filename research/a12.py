from ev import *; from g import *
from a5 import hashperm,synth,reps,q_of,PS
from a9 import knear
import sys,time
def run(E,y,M=2048,sched=((8,5,0),(1,10,10),(1,5,3),(1,5,1)),first=(-.1,-.02,.5),pars=(-.09,-.01,.75),dc=0,verbose=True,seed=0,D=None,kk=64,touch=9,p0=2e-3,grid=False,tab=None):
    D=dist(E) if D is None else D; N=len(E); perm=hashperm(N,seed); r=perm; hist=[]
    for it,(m,k,skip) in enumerate(sched):
        if m>1: o=knear(dist(E,synth(E[r],M,m,seed)),k,skip); M0=M
        else:
            r=r[:M]; X=D[:,r].copy(); X[r,np.arange(len(r))]=-9; o=knear(X,k,skip)
        C=cal(D,o)
        c=q_of(C,r[:M],[p0])[0] if it else .015
        a=pars if it else first
        ed=edges(C,kk,c+(dc if it else 0))
        lab=hac(N,ed,c+(dc if it else 0),c+a[0],c+a[1],touch,2,a[2]); res=prf(lab,y); hist.append(res)
        r0=r; r=reps(lab,perm,N)
        if verbose:
            print('   it%d m%d k%d s%d c=%.3f e/f %.0f P=%.4f R=%.4f F=%.4f cl=%d lg=%d'%((it,m,k,skip,c,len(ed[0])*2/N)+res),'next ref ppl',len(np.unique(y[r[:M]])),len(r),'maxdup',np.bincount(y[r[:M]]).max(),flush=True)
    if grid:
        rs=[]
        for pp in (.5,.75,1):
          for dc in (-.01,0,.01):
            ed=edges(C,kk,c+dc)
            for tau in (-.1,-.09,-.08):
              for T in (-.005,-.01,-.015,-.02):
                rs.append((pp,dc,tau,T)+tuple(np.round(prf(hac(N,ed,c+dc,c+tau,c+T,touch,2,pp),y),4)))
        if tab is not None: tab.append(rs)
        rs=sorted(rs,key=lambda r:-r[6]); [print('     ',*[float(v) for v in x]) for x in rs[:4]]
    return lab,res,C,r0,o,c
if __name__=='__main__':
    S3=((8,5,0),(1,5,1),(1,5,1),(1,5,1)); S4=((8,5,0),(1,10,10),(1,5,3),(1,5,1)); S5=((8,5,0),(1,10,5),(1,10,3),(1,10,1))
    for sc in (S3,S4,S5):
      for pr in ((-.09,-.01,.75),(-.09,-.015,.75),(-.09,-.01,.5),(-.08,-.015,1)):
        tab=[]
        for n in ('lfw_dev_faded','lfw_dev'):
          E,y=load(n); D=dist(E)
          print(n,sc,pr); run(E,y,D=D,sched=sc,pars=pr,grid=True,tab=tab)
        a,b=map(np.array,tab)
        sc_=np.minimum(a[:,6]-.86,b[:,6]-.95)+np.minimum(0,a[:,4]-.93)+np.minimum(0,b[:,4]-.975)
        for i in np.argsort(-sc_)[:3]: print('  BOTH',a[i,:4],a[i,4:7],b[i,4:7])
