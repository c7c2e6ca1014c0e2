// greedy agglomeration on a sparse graph. sim=c-d>=0 for edges (each once)
#include <vector>
#include <queue>
#include <unordered_map>
#include <cmath>
#include <cstdint>
using namespace std;
struct Agg{double s; float mn; int cnt;};
struct Ev{double L; int a,b; int va,vb; bool operator<(const Ev&o)const{ if(L!=o.L) return L>o.L; if(a!=o.a) return a>o.a; return b>o.b;}};
extern "C" int hac(int n,int64_t m,const int*ei,const int*ej,const float*d,double c,double tau,double T,double touch,int mode,double p1,const uint8_t*full,int k,int*lab,double rho,int rmin,double r1,double rs){ vector<double> in(n,0.0);
  vector<unordered_map<int,Agg>> adj(n); vector<int> sz(n,1),ver(n,0),par(n);
  for(int i=0;i<n;i++)par[i]=i;
  for(int64_t e=0;e<m;e++){ if(ei[e]==ej[e])continue; Agg g{c-d[e],d[e],1}; adj[ei[e]][ej[e]]=g; adj[ej[e]][ei[e]]=g;}
  priority_queue<Ev> q;
  auto L=[&](int a,int b,const Agg&g)->double{
    double A=sz[a],B=sz[b];
    if(g.mn>touch) return 1e9;
    double pairs=A*B;
    if(k>0 && A+B>k) pairs*= k/(A+B);       // bounded lists
    double s=g.s/pairs; double av=c-s;
    if(rho>0){ double wa=sz[a]>1?in[a]/(A*(A-1)/2):1e9, wb=sz[b]>1?in[b]/(B*(B-1)/2):1e9, w=wa<wb?wa:wb, mn=A<B?A:B;
      if(mn>=2){ if(s<(rho+r1/sqrt(mn))*w) return 1e9; } else if(A+B>2 && s<rs*w) return 1e9; }
    double pen=0, D=T-tau;
    if(mode==0) pen=0;                       // plain average
    else if(mode==1) pen=D*0.5*(1/A+1/B);    // both ends
    else if(mode==2) pen=D*pow(A*B,-p1);
    else if(mode==3) pen=D*pow(min(A,B),-p1);
    else if(mode==4) pen=D*pow(0.5*(1/A+1/B),p1);
    else if(mode==5) return g.mn+ (T-tau);   // single
    else if(mode==6) pen=D/(1+p1*(A*B-1));
    else if(mode==7) pen=D*(1/A+1/B-1/(A*B)); 
    return av+pen;
  };
  for(int i=0;i<n;i++) for(auto&kv:adj[i]) if(i<kv.first){ double l=L(i,kv.first,kv.second); if(l<=T) q.push({l,i,kv.first,0,0}); }
  int merges=0;
  while(!q.empty()){ Ev e=q.top(); q.pop(); if(ver[e.a]!=e.va||ver[e.b]!=e.vb) continue;
    int a=e.a,b=e.b; if(adj[a].size()<adj[b].size()) swap(a,b);
    // merge b into a
    ver[a]++; ver[b]=-1; par[b]=a; sz[a]+=sz[b]; in[a]+=in[b]+adj[a][b].s; merges++;
    adj[a].erase(b);
    for(auto&kv:adj[b]){ int x=kv.first; if(x==a) continue; adj[x].erase(b);
      auto it=adj[a].find(x); if(it==adj[a].end()) adj[a][x]=kv.second; else { it->second.s+=kv.second.s; it->second.cnt+=kv.second.cnt; if(kv.second.mn<it->second.mn) it->second.mn=kv.second.mn; }
      adj[x][a]=adj[a][x]; }
    adj[b].clear();
    for(auto&kv:adj[a]){ int x=kv.first; adj[x][a]=kv.second; double l=L(a,x,kv.second); if(l<=T){ int p=a<x?a:x,r=a<x?x:a; q.push({l,p,r,ver[p],ver[r]}); } }
  }
  for(int i=0;i<n;i++){int r=i; while(par[r]!=r) r=par[r]; lab[i]=r;}
  return merges;
}
