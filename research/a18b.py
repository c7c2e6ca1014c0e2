from a16 import *; import rule
print('rule.py, subsets')
for t,E,y,k2 in subsets():
    order=hashperm(len(y),k2.get('seed',0)+11); cal=rule.calibrate(E,order,rule.fast); parts,e=rule.cluster(E,cal,len(E),rule.fast); parts2,_=rule.cluster(E,cal,5325,rule.fast); p=prf(parts,y)
    print(t.ljust(30),len(y),'P %.3f R %.3f F %.3f cl %d lg %d'%p,'people',y.max()+1,'reach0 %.3f'%cal.reach0,'M',len(cal.banks[0]),flush=True)
