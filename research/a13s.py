import pickle,numpy as np
a=pickle.load(open('a13_lfw_dev.pkl','rb')); b=pickle.load(open('a13_lfw_dev_faded.pkl','rb'))
for k in a:
    A,B=a[k],b[k]; s=np.minimum(A[:,7]-.95,B[:,7]-.86)+np.minimum(0,A[:,5]-.975)+np.minimum(0,B[:,5]-.93)
    print(k)
    for i in np.argsort(-s)[:4]: print('   ',A[i,:5],A[i,5:].round(4),B[i,5:].round(4))
