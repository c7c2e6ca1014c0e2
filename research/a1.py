from ev import *
import sys
rng=np.random.default_rng(0)
for n in ['lfw_dev','lfw_dev_faded']:
    E,y=load(n); D=dist(E)
    print(n,'raw single',best(sweep(D-0*D,y,'single',np.arange(.3,.5,.01))), 'avg',best(sweep(D,y,'average',np.arange(.35,.7,.01))))
    one=np.array([rng.choice(np.flatnonzero(y==p)) for p in range(y.max()+1)])
    S=y[:,None]!=y[None]
    for k in (1,5,10,20,50,100):
        o=offsets(D,one,k,0,y); C=cal(D,o)
        st=np.sort(C[S][::1]); t6=st[int(len(st)*1e-6)]
        print(k,'sd off',o.std(),'t1e-6 %.3f'%t6,'| single',best(sweep(C,y,'single',np.arange(-.25,0,.005))),'| avg',best(sweep(C,y,'average',np.arange(-.2,.1,.01))),flush=True)
