from ev import *; from g import *
import itertools,time,sys
rng=np.random.default_rng(0)
for n in ['lfw_dev','lfw_dev_faded']:
    E,y=load(n); D=dist(E); N=len(y)
    one=np.array([rng.choice(np.flatnonzero(y==p)) for p in range(y.max()+1)])
    S=y[:,None]!=y[None]
    o=offsets(D,one,10,0,y); C=cal(D,o)
    st=np.sort(C[S][::1]); 
    print(n,'stranger quantiles',[(p,round(float(st[int(len(st)*p)]),3)) for p in (1e-7,1e-6,3e-6,1e-5,3e-5,1e-4,1e-3)])
    for c in (0.0,0.05,0.1,.15):
        ed=edges(C,64,c)
        print('c',c,'edges/face',len(ed[0])*2/N)
        for mode,p1s in ((0,[1]),(1,[1]),(2,[.5]),(2,[1]),(3,[1]),(4,[.5,]),(7,[1])):
          for p1 in p1s:
            res=[]
            for tau in ((-.15,-.13,-.12,-.11,-.1,-.08) if mode else (0,)):
                for T in np.arange(-.08,.061,.02):
                    if mode==0 or T>=tau:
                        r=prf(hac(N,ed,c,tau,T,9,mode,p1),y); res.append((tau,round(T,3))+tuple(np.round(r,4)))
            res.sort(key=lambda r:-r[4]); print('  mode',mode,p1,*[tuple(float(v) for v in r) for r in res[:3]],flush=True)
