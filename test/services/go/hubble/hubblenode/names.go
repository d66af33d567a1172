package main

import (
	"net/netip"
	"strconv"
	"sync"

	flowpb "github.com/cilium/cilium/api/v1/flow"
	"github.com/cilium/cilium/pkg/hubble/parser/getters"
	"github.com/cilium/cilium/pkg/identity"
	"github.com/cilium/cilium/pkg/ipcache"
	slim_corev1 "github.com/cilium/cilium/pkg/k8s/slim/k8s/api/core/v1"
	slim_metav1 "github.com/cilium/cilium/pkg/k8s/slim/k8s/apis/meta/v1"
	"github.com/cilium/cilium/pkg/labels"
	policyTypes "github.com/cilium/cilium/pkg/policy/types"
)

// pod is what the node knows of an address. A workload, as {kind, name}, is known of pods of this
// node only, as in an agent.
type pod struct {
	Namespace string `json:"namespace"`
	Pod       string `json:"pod"`
	Identity  uint32 `json:"identity"`
	Workload  *struct {
		Kind string `json:"kind"`
		Name string `json:"name"`
	} `json:"workload"`
}

type service struct {
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
}

// names answers the parser's questions about addresses with what the names command said.
type names struct {
	mutex    sync.RWMutex
	pods     map[netip.Addr]pod
	services map[netip.AddrPort]service
}

func newNames() *names {
	return &names{pods: map[netip.Addr]pod{}, services: map[netip.AddrPort]service{}}
}

func (n *names) add(pods map[netip.Addr]pod, services map[netip.AddrPort]service) {
	n.mutex.Lock()
	defer n.mutex.Unlock()
	for address, p := range pods {
		n.pods[address] = p
	}
	for address, s := range services {
		n.services[address] = s
	}
}

func (n *names) pod(ip netip.Addr) (pod, bool) {
	n.mutex.RLock()
	defer n.mutex.RUnlock()
	p, ok := n.pods[ip]
	return p, ok
}

func (n *names) GetK8sMetadata(ip netip.Addr) *ipcache.K8sMetadata {
	p, ok := n.pod(ip)
	if !ok {
		return nil
	}
	return &ipcache.K8sMetadata{Namespace: p.Namespace, PodName: p.Pod}
}

func (n *names) LookupSecIDByIP(ip netip.Addr) (ipcache.Identity, bool) {
	p, ok := n.pod(ip)
	return ipcache.Identity{ID: identity.NumericIdentity(p.Identity)}, ok && p.Identity != 0
}

func (n *names) GetServiceByAddr(ip netip.Addr, port uint16) *flowpb.Service {
	n.mutex.RLock()
	defer n.mutex.RUnlock()
	s, ok := n.services[netip.AddrPortFrom(ip, port)]
	if !ok {
		return nil
	}
	return &flowpb.Service{Namespace: s.Namespace, Name: s.Name}
}

func (n *names) GetEndpointInfo(ip netip.Addr) (getters.EndpointInfo, bool) {
	p, ok := n.pod(ip)
	if !ok || p.Workload == nil {
		return nil, false
	}
	return endpoint{p}, true
}

func (n *names) GetEndpointInfoByID(uint16) (getters.EndpointInfo, bool) { return nil, false }

// endpoint shows a pod of this node to the parser.
type endpoint struct{ pod pod }

func (e endpoint) GetID() uint64 { return 0 }
func (e endpoint) GetIdentity() identity.NumericIdentity {
	return identity.NumericIdentity(e.pod.Identity)
}
func (e endpoint) GetK8sPodName() string    { return e.pod.Pod }
func (e endpoint) GetK8sNamespace() string  { return e.pod.Namespace }
func (e endpoint) GetLabels() labels.Labels { return nil }

// GetPod gives the pod the owner from which Cilium derives the workload. A Deployment is seen through
// its ReplicaSet's name and the hash in it.
func (e endpoint) GetPod() *slim_corev1.Pod {
	const hash = "7d9c5b8f6d"
	controller := true
	kind, owner := e.pod.Workload.Kind, e.pod.Workload.Name
	podLabels := map[string]string{}
	if kind == "Deployment" {
		kind, owner = "ReplicaSet", owner+"-"+hash
		podLabels["pod-template-hash"] = hash
	}
	return &slim_corev1.Pod{ObjectMeta: slim_metav1.ObjectMeta{
		Name: e.pod.Pod, Namespace: e.pod.Namespace, GenerateName: owner + "-", Labels: podLabels,
		OwnerReferences: []slim_metav1.OwnerReference{{Kind: kind, Name: owner, Controller: &controller}},
	}}
}

func (e endpoint) GetPolicyCorrelationInfoForKey(
	policyTypes.Key,
) (policyTypes.PolicyCorrelationInfo, bool) {
	return policyTypes.PolicyCorrelationInfo{}, false
}

// links names no interface.
type links struct{}

func (links) GetIfNameCached(int) (string, bool) { return "", false }
func (links) Name(index uint32) string           { return strconv.FormatUint(uint64(index), 10) }
