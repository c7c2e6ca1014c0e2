"""The same admission test, but groups join in rounds: in each round every group names its best admissible partner (cost, least
ids); groups that name each other join. Local: what a group does in round r depends on its r-ring only; history = one record a merge."""
import numpy as np, rule
def group_rounds(n, one, other, d, reach, single, join, power=.5, relative=rule.RELATIVE, alone=rule.RELATIVE_SINGLE, history=None, most=200):
    sim=reach-np.asarray(d,float); m=sim>=0; a=np.asarray(one)[m].astype(np.int64); b=np.asarray(other)[m].astype(np.int64); s=sim[m]
    lab=np.arange(n); size=np.ones(n); inner=np.zeros(n); D=join-single; rounds=0
    while rounds<most:
        rounds+=1
        pairs=size[a]*size[b]; mean=s/pairs
        wa=np.where(size[a]>1,inner[a]/np.maximum(size[a]*(size[a]-1)/2,1),np.inf); wb=np.where(size[b]>1,inner[b]/np.maximum(size[b]*(size[b]-1)/2,1),np.inf)
        w=np.minimum(wa,wb); both=(size[a]>1)&(size[b]>1); f=np.where(both,relative,alone); need=np.where(np.isfinite(w),f*np.where(np.isfinite(w),w,0),0)
        cost=reach-mean+D*pairs**-power
        ok=(cost<=join)&(mean>=need); i=np.flatnonzero(ok)
        if not len(i): break
        x=np.r_[a[i],b[i]]; y=np.r_[b[i],a[i]]; c=np.r_[cost[i],cost[i]]
        o=np.lexsort((np.maximum(x,y),np.minimum(x,y),c,x)); f=np.r_[True,x[o][1:]!=x[o][:-1]]; best=np.full(n,-1); best[x[o][f]]=y[o][f]
        g=np.flatnonzero(best>=0); g=g[best[best[g]]==g]; g=g[g<best[g]]; h=best[g]
        if not len(g): break
        if history is not None: history.extend((rounds,int(p),int(q)) for p,q in zip(g,h))
        to=np.arange(n); to[h]=g; lab=to[lab]
        key=np.minimum(a,b)*n+np.maximum(a,b)
        A,B=to[a],to[b]; inside=A==B; np.add.at(inner,g,inner[h]); np.add.at(inner,A[inside],s[inside]); size[g]+=size[h]
        A,B=A[~inside],B[~inside]; s=s[~inside]; lo,hi=np.minimum(A,B),np.maximum(A,B); u,inv=np.unique(lo*n+hi,return_inverse=True)
        s=np.bincount(inv,s,len(u)); a,b=u//n,u%n
    return lab if history is None else (lab,rounds)
if __name__=='__main__':
    from base import load; from ev import prf; from a16 import hashperm; import time
    for n in ('lfw_dev','lfw_dev_faded'):
        E,y=load(n); N=len(y)
        for sd in (1,2,3):
            cal=rule.calibrate(E,hashperm(N,sd),rule.fast); o=rule.offsets(E,cal); R=cal.reach0-.015; e=rule.edges(E,o,R)
            h=[]; t=time.time(); p,r=group_rounds(N,*e,R,R-.1,R,history=h); t=time.time()-t
            print(n,sd,'greedy P %.4f R %.4f F %.4f cl %d lg %d'%prf(rule.fast(N,*e,R,R-.1,R),y),'| rounds P %.4f R %.4f F %.4f cl %d lg %d'%prf(p,y),'rounds',r,'%.2fs'%t,flush=True)
        hs=set(h); ch=[];fa=[]
        for i in np.random.default_rng(0).permutation(N)[:100]:
            m=(e[0]!=i)&(e[1]!=i); h2=[]; p2,_=group_rounds(N,e[0][m],e[1][m],e[2][m],R,R-.1,R,history=h2)
            dif=hs^set(h2); gr={q for t in dif for q in t[1:]}; ch.append(len(dif)); roots={p[q] for q in gr}|{p2[q] for q in gr}; fa.append(np.isin(p,list(roots)).sum())
        print(n,'merge records that differ per face taken out: mean %.1f median %.0f q95 %.0f max %d; faces in clusters with any: mean %.0f q95 %.0f max %d'%(np.mean(ch),np.median(ch),np.quantile(ch,.95),max(ch),np.mean(fa),np.quantile(fa,.95),max(fa)),flush=True)
