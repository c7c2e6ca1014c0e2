from a16 import *
import itertools
which=sys.argv[1]
V=dict(a=dict(M=640,lo=320,B=2,rho=.5),b=dict(M=640,lo=320,B=2,rho=.35,pars=(-.09,-.015,.5)))
G=[(dc,tau,T,tch,rho,rmin) for dc in (0,-.01) for tau in (-.1,-.085) for T in (-.02,-.015,-.01) for tch in (9,-.08) for (rho,rmin) in ((0,2),(.35,2),(.5,2),(.5,3),(.65,2))]
out=[];names=[]
for t,E,y,k2 in subsets():
    lab,res,C,r,o,c=run(E,y,verbose=False,**V[which],**k2); row=[]
    eds={dc:edges(C,64,c+dc) for dc in (0,-.01)}
    for dc,tau,T,tch,rho,rmin in G: row.append(prf(hac(len(y),eds[dc],c+dc,c+tau,c+T,c+tch,2,.5,rho=rho,rmin=rmin),y)[:3])
    out.append(row); names.append(t+' M%d ppl%d'%(len(r[0]),len(np.unique(y[r[0]]))))
A=np.array(out); np.save('a17_%s.npy'%which,A)
tgt=np.array([.95 if 'faded' not in t else .86 for t in names])
col=[i for i,t in enumerate(names) if t.startswith('lfw_dev hash')]; fad=[i for i,t in enumerate(names) if t.startswith('lfw_dev_faded hash')]
sc=A[col,:,2].mean(0)-.95+A[fad,:,2].mean(0)-.86+2*np.minimum(0,A[col,:,0].min(0)-.97)+2*np.minimum(0,A[fad,:,0].min(0)-.92)
print(which,V[which])
for g in np.argsort(-sc)[:8]: print(G[g],'col P',A[col,g,0].round(3),'F',A[col,g,2].round(3),'fad P',A[fad,g,0].round(3),'F',A[fad,g,2].round(3))
g=np.argsort(-sc)[0]
for i,t in enumerate(names): print('  ',t.ljust(48),A[i,g].round(3))
print('without rho: ',[ (G[g],A[col,g,0].round(3),A[fad,g,2].round(3)) for g in range(len(G)) if G[g][4]==0][:3])
