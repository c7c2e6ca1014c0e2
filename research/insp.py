from a16 import *; import rule
n='lfw_dev'; E,y=load(n); F=np.load('../shared/data/embeddings/%s.npz'%n,allow_pickle=True)['F']
names={v:str(f).split('/')[0] for f,v in zip(F,y)}
cal=rule.calibrate(E,rule.rank_of(F),rule.fast); o=rule.offsets(E,cal); s=cal.reach0; R=s+rule.REACH
e=rule.edges(E,o,R); W=np.zeros((len(y),)*2,np.float32); W[e[0],e[1]]=W[e[1],e[0]]=R-e[2]
p,_=rule.cluster(E,cal,group=rule.fast)
print(prf(p,y))
C=cal_=dist(E)-(o[:,None]+o[None])/2-s
for c in np.unique(p):
    i=np.flatnonzero(p==c); u,k=np.unique(y[i],return_counts=True)
    wrong=(len(i)*(len(i)-1)-(k*(k-1)).sum())//2
    if wrong>60:
        t=np.argsort(-k)[:3]; print(len(i),wrong,[(names[u[j]],int(k[j]),int((y==u[j]).sum())) for j in t])
        a=i[y[i]==u[t[0]]]; 
        for q in t[1:]:
            b=i[y[i]==u[q]]; m=lambda x,z:W[np.ix_(x,z)].sum()/(len(x)*len(z))
            print('    cross %.4f inner a %.4f b %.4f'%(m(a,b),m(a,a)*len(a)/max(len(a)-1,1),m(b,b)*len(b)/max(len(b)-1,1)),'edges share cross %.3f inner a %.3f b %.3f'%tuple((W[np.ix_(x,z)]>0).mean() for x,z in((a,b),(a,a),(b,b))),'evid %.2f'%(W[np.ix_(a,b)].sum()/np.sqrt(len(a)*len(b))),'mean cal %.3f %.3f %.3f'%tuple(C[np.ix_(x,z)].mean() for x,z in((a,b),(a,a),(b,b))))
