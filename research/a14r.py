from a14 import *; from grid import grid
n=sys.argv[1]; E,y=load(n); D=dist(E); out={}
for M in (640,1024,1536):
  for nm,sc in (('k3',((8,5,0),(1,5,5),(1,3,2),(1,3,1))),('k5',((8,5,0),(1,5,5),(1,5,2),(1,5,1)))):
    print(n,M,nm); lab,res,C,r,o,c=run(E,y,D=D,M=M,sched=sc); out[M,nm]=grid(C,y,c)
pickle.dump(out,open('a14_%s.pkl'%n,'wb'))
