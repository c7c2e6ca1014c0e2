import numpy as np, rule; from base import load; from a16 import hashperm
for n in ('lfw_dev','lfw_dev_faded'):
    E,y=load(n); cal=rule.calibrate(E,hashperm(len(y),1),rule.fast); o=rule.offsets(E,cal); R=cal.reach0-.015; e=rule.edges(E,o,R); p=rule.fast(len(y),*e,R,R-.1,R)
    x=e[2]-cal.reach0; s=y[e[0]]==y[e[1]]; b=np.arange(-.4,-.0149,.02); i=np.digitize(x,b); inn=p[e[0]]==p[e[1]]
    print(n,'same person by distance - reach0:',' '.join('%.2f:%.2f(%d)'%(b[k-1],s[i==k].mean(),(i==k).sum()) for k in range(8,len(b)+1) if (i==k).sum()>20))
    print('   of edges inside a cluster %.4f same; edges between clusters %.4f same'%(s[inn].mean(),s[~inn].mean()))
    from sklearn.linear_model import LogisticRegression
    m=LogisticRegression(C=1e6).fit(x[:,None],s); print('   logistic all edges: a=%.2f b=%.1f'%(m.intercept_[0],m.coef_[0,0]))
