module weir.test/crds

go 1.26.0

require (
	github.com/cilium/cilium v1.20.2
	sigs.k8s.io/gateway-api v1.5.0
)
