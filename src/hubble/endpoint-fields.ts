import { type EndpointFields, NO_FIELDS } from '../model/endpoint.ts'
import type { EndpointMessage } from './flow-message.ts'

/** Pods of a ReplicaSet: NAME-HASH-SUFFIX. The letters are those that Kubernetes uses for both. */
const REPLICA_SET_POD =
  /^(.+)-[bcdfghjklmnpqrstvwxz2456789]{6,10}-[bcdfghjklmnpqrstvwxz2456789]{5}$/

/** An endpoint of a flow; workloads from before Cilium 1.11, which sends none, follow from the pod's name. */
export function endpointFieldsOf(message: EndpointMessage | null | undefined): EndpointFields {
  if (message === null || message === undefined) return NO_FIELDS
  const pod = message.pod_name ?? ''
  const workload = message.workloads?.[0]
  const labels = message.labels ?? []
  return {
    identity: message.identity ?? 0,
    cluster: message.cluster_name ?? '',
    namespace: message.namespace ?? '',
    pod,
    workload: workload?.name ?? REPLICA_SET_POD.exec(pod)?.[1] ?? '',
    workloadKind: workload?.kind ?? '',
    labels,
    reserved: reservedOf(labels),
  }
}

function reservedOf(labels: readonly string[]): string {
  const label = labels.find((l) => l.startsWith('reserved:'))
  return label === undefined ? '' : label.slice('reserved:'.length)
}
