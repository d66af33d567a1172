//go:build tools

// Package tools names what this module builds: a kube-apiserver, and the etcd that it keeps its data in.
package tools

import (
	_ "go.etcd.io/etcd/server/v3"
	_ "k8s.io/kubernetes/cmd/kube-apiserver"
)
