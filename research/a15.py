"""sensitivity of the label-free pipeline (a14), M=640"""
from a14 import *
SC=((8,5,0),(1,5,5),(1,5,2),(1,5,1))
CF=[(.5,-.01,-.085,-.02,-.09),(.5,-.01,-.085,-.02,9),(.5,-.01,-.1,-.02,-.09),(.5,-.01,-.085,-.025,-.09),(1,-.01,-.1,-.03,-.09)]
def fin(C,y,c,kk=64): return [prf(hac(len(y),edges(C,kk,c+f[1]),c+f[2] if f[2] else 0,c+f[3],c+f[4],2,0 or f[0]) if 0 else hac(len(y),edges(C,kk,c+f[1]),c+f[1],c+f[2],c+f[3],c+f[4],2,f[0]),y)[:5] for f in CF]
def show(t,E,y,**kw):
    lab,res,C,r,o,c=run(E,y,M=kw.get('M',640),sched=SC,verbose=False,seed=kw.get('seed',0))
    print(t.ljust(34),'n',len(y),'c=%.3f'%c,'refppl %d/%d'%(len(np.unique(y[r])),len(r)),*['| %.3f %.3f %.3f lg%d'%(a[0],a[1],a[2],a[4]) for a in fin(C,y,c,kw.get('kk',64))],flush=True)
if __name__=='__main__':
    rng=np.random.default_rng(5); S={n:load(n) for n in ('lfw_dev','lfw_dev_faded','archival_portraits')}
    print('configs',CF)
    for n in ('lfw_dev','lfw_dev_faded'):
        E,y=S[n]
        for s in (0,1,2): show('%s hash seed %d'%(n,s),E,y,seed=s)
        for M in (400,900): show('%s M=%d'%(n,M),E,y,M=M)
        show('%s k=17 edges'%n,E,y,kk=17)
        for s in (1,2):
            p=np.random.default_rng(s).permutation(y.max()+1)[:(y.max()+1)//2]; i=np.flatnonzero(np.isin(y,p)); show('%s half people %d'%(n,s),E[i],np.unique(y[i],return_inverse=True)[1])
        for m in (1000,2500):
            i=np.random.default_rng(m).permutation(len(y))[:m]; show('%s random %d'%(n,m),E[i],np.unique(y[i],return_inverse=True)[1])
    (A,ya),(B,yb),(P,yp)=S['lfw_dev'],S['lfw_dev_faded'],S['archival_portraits']
    h=np.random.default_rng(3).random(ya.max()+1)<.5; i=h[ya]; show('mix: half colour/half faded people',np.concatenate([A[i],B[~i]]),np.concatenate([ya[i],ya[~i]]))
    show('mix: colour + portraits',np.concatenate([A,P]),np.concatenate([ya,yp+5000]))
    show('mix: faded + portraits',np.concatenate([B,P]),np.concatenate([ya,yp+5000]))
