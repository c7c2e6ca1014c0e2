from a12 import *
import a12, pickle
def grid(C,y,c,kk=64):
    rs=[]; N=len(y)
    for dc in (-.01,0,.01):
      ed=edges(C,kk,c+dc)
      for pp in (.5,.75,1):
        for tau in (-.1,-.085):
          for T in (-.005,-.01,-.015,-.02):
            for tch in (9,-.05,-.07,-.09):
              rs.append((pp,dc,tau,T,tch)+prf(hac(N,ed,c+dc,c+tau,c+T,c+tch,2,pp),y))
    return np.array(rs)
if __name__=="__main__":
  pass
if __name__!="__main__": sys.exit_=0
n=sys.argv[1]; E,y=load(n); D=dist(E); out={}
for M in (2048,4096):
  for nm,sc in (('A',((8,5,0),(1,10,10),(1,10,5),(1,5,3),(1,5,1))),('B',((8,5,0),(1,10,5),(1,10,3),(1,10,1)))):
    for pr in ((-.09,-.01,.5),(-.09,-.0125,.6)):
      print(n,M,nm,pr); lab,res,C,r,o,c=run(E,y,D=D,M=M,sched=sc,pars=pr); out[M,nm,pr]=grid(C,y,c)
pickle.dump(out,open('a13_%s.pkl'%n,'wb'))
