from ev import *
from g import *
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
