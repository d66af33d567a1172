package main

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	flowpb "github.com/cilium/cilium/api/v1/flow"
)

// metrics are six families labelled by both workloads, updated as client_golang's documentation shows:
// WithLabelValues for each flow.
type metrics struct {
	verdicts   *prometheus.CounterVec
	types      *prometheus.CounterVec
	directions *prometheus.CounterVec
	protocols  *prometheus.CounterVec
	nodes      *prometheus.CounterVec
	age        *prometheus.HistogramVec
}

func newMetrics() *metrics {
	workloads := []string{
		"source_namespace", "source_workload", "destination_namespace", "destination_workload",
	}
	registry := prometheus.NewRegistry()
	counter := func(name, label string) *prometheus.CounterVec {
		labels := append([]string{label}, workloads...)
		vec := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name}, labels)
		registry.MustRegister(vec)
		return vec
	}
	age := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "flow_age_seconds"}, workloads)
	registry.MustRegister(age)
	return &metrics{
		verdicts:   counter("flows_by_verdict_total", "verdict"),
		types:      counter("flows_by_type_total", "type"),
		directions: counter("flows_by_direction_total", "direction"),
		protocols:  counter("flows_by_protocol_total", "protocol"),
		nodes:      counter("flows_by_node_total", "node"),
		age:        age,
	}
}

func (m *metrics) update(flow *flowpb.Flow) {
	if flow == nil {
		return
	}
	from, to := flow.GetSource(), flow.GetDestination()
	fromNS, fromName := from.GetNamespace(), workloadOf(from)
	toNS, toName := to.GetNamespace(), workloadOf(to)
	m.verdicts.WithLabelValues(flow.GetVerdict().String(), fromNS, fromName, toNS, toName).Inc()
	m.types.WithLabelValues(flow.GetType().String(), fromNS, fromName, toNS, toName).Inc()
	direction := flow.GetTrafficDirection().String()
	m.directions.WithLabelValues(direction, fromNS, fromName, toNS, toName).Inc()
	m.protocols.WithLabelValues(protocolOf(flow.GetL4()), fromNS, fromName, toNS, toName).Inc()
	m.nodes.WithLabelValues(flow.GetNodeName(), fromNS, fromName, toNS, toName).Inc()
	age := time.Since(flow.GetTime().AsTime()).Seconds()
	m.age.WithLabelValues(fromNS, fromName, toNS, toName).Observe(age)
}

func workloadOf(endpoint *flowpb.Endpoint) string {
	if workloads := endpoint.GetWorkloads(); len(workloads) > 0 {
		return workloads[0].GetName()
	}
	return endpoint.GetPodName()
}

func protocolOf(l4 *flowpb.Layer4) string {
	switch l4.GetProtocol().(type) {
	case *flowpb.Layer4_TCP:
		return "TCP"
	case *flowpb.Layer4_UDP:
		return "UDP"
	case *flowpb.Layer4_SCTP:
		return "SCTP"
	case *flowpb.Layer4_ICMPv4, *flowpb.Layer4_ICMPv6:
		return "ICMP"
	default:
		return "unknown"
	}
}
