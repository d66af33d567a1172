import type { Attributes } from '@opentelemetry/api'
import { type Resource, resourceFromAttributes } from '@opentelemetry/resources'
import type { Endpoint } from '../model/endpoint.ts'

const KIND_ATTRIBUTES: Readonly<Record<string, string>> = {
  CronJob: 'k8s.cronjob.name',
  DaemonSet: 'k8s.daemonset.name',
  Deployment: 'k8s.deployment.name',
  Job: 'k8s.job.name',
  ReplicaSet: 'k8s.replicaset.name',
  StatefulSet: 'k8s.statefulset.name',
}

interface Known {
  readonly endpoint: Endpoint
  readonly cluster: string
  readonly resource: Resource
}

/**
 * The resource of the workload on whose side a span was seen: one object an endpoint, so that a batch
 * groups by it. Endpoint ids are dense, so this table is no longer than the endpoint table's bound;
 * an id that is used again replaces its entry.
 */
export class SpanResources {
  readonly #serviceName: string
  readonly #byEndpointId: (Known | undefined)[] = []

  /** `serviceName`: where nothing is known of the workload. */
  constructor(serviceName: string) {
    this.#serviceName = serviceName
  }

  /** `cluster`: of the source that read the flow; where the flow itself names none. */
  of(endpoint: Endpoint, cluster: string): Resource {
    const known = this.#byEndpointId[endpoint.id]
    if (known?.endpoint === endpoint && known.cluster === cluster) return known.resource
    const resource = resourceFromAttributes(this.#attributesOf(endpoint, cluster))
    this.#byEndpointId[endpoint.id] = { endpoint, cluster, resource }
    return resource
  }

  #attributesOf(endpoint: Endpoint, cluster: string): Attributes {
    const { namespace, pod, workload, workloadKind, reserved } = endpoint
    const attributes: Attributes = {
      'service.name': workload || pod || reserved || this.#serviceName,
      'k8s.cluster.name': endpoint.cluster || cluster,
    }
    if (namespace !== '') {
      attributes['service.namespace'] = namespace
      attributes['k8s.namespace.name'] = namespace
    }
    if (pod !== '') attributes['k8s.pod.name'] = pod
    const kindAttribute = KIND_ATTRIBUTES[workloadKind]
    if (workload !== '' && kindAttribute !== undefined) attributes[kindAttribute] = workload
    return attributes
  }
}
