import ctypes,numpy as np
L=ctypes.CDLL('./hac.so'); P=ctypes.c_void_p
L.hac.argtypes=[ctypes.c_int,ctypes.c_int64,P,P,P]+[ctypes.c_double]*4+[ctypes.c_int,ctypes.c_double,P,ctypes.c_int,P,ctypes.c_double,ctypes.c_int,ctypes.c_double,ctypes.c_double]
def edges(C,k,reach):
    """kNN edges of calibrated matrix, union of both ends' lists, d<=reach"""
    n=len(C); C=C.copy(); np.fill_diagonal(C,9)
    kk=min(k,n-1); nb=np.argpartition(C,kk-1,1)[:,:kk]
    i=np.repeat(np.arange(n),kk); j=nb.ravel(); d=C[i,j]
    m=d<=reach; i,j,d=i[m],j[m],d[m]
    a=np.minimum(i,j);b=np.maximum(i,j); key=a.astype(np.int64)*n+b
    _,u=np.unique(key,return_index=True)
    return a[u].astype(np.int32),b[u].astype(np.int32),d[u].astype(np.float32)
def hac(n,ed,c,tau,T,touch,mode=0,p1=1.,k=0,rho=0.,rmin=2,r1=0.,rs=0.):
    i,j,d=ed; m=d<=c; i=np.ascontiguousarray(i[m]);j=np.ascontiguousarray(j[m]);d=np.ascontiguousarray(d[m])
    lab=np.empty(n,np.int32)
    L.hac(n,len(i),i.ctypes.data,j.ctypes.data,d.ctypes.data,c,tau,T,touch,mode,p1,None,k,lab.ctypes.data,rho,rmin,r1,rs)
    return lab
