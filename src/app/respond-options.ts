import type { Config } from '../config/schema.ts'
import { ConfigError } from '../errors.ts'
import type { KubernetesAccess } from '../kubernetes/access.ts'
import type { CecTarget } from '../respond/cec-target.ts'
import { createDirectoryTarget } from '../respond/directory-target.ts'
import type { ResponderOptions } from '../respond/responder.ts'
import type { Component } from '../runtime/lifecycle.ts'
import { createKubernetesTarget } from './kubernetes-target.ts'

/** A repeated limit acts longer: these are the steps, in times of `respond.ttl`. */
const TTL_STEPS = [1, 3, 12] as const

interface Target {
  readonly target: CecTarget | null
  /** Of a target that is opened and closed: started before the responder, stopped after it. */
  readonly targetComponent?: Component
}

/**
 * The configuration's part of what `respond` is made of. `access`: the cluster, where one is known.
 * @throws {ConfigError} for target kubernetes in a mode that writes, without a cluster.
 */
export function respondOptions(
  respond: Config['respond'],
  access?: KubernetesAccess,
): Target &
  Pick<
    ResponderOptions,
    'mode' | 'shadowMs' | 'ttlMs' | 'minWriteIntervalMs' | 'protect' | 'budgets'
  > {
  const { mode, budgets } = respond
  return {
    mode,
    ...targetOf(respond, access),
    shadowMs: respond.shadowFor,
    ttlMs: TTL_STEPS.map((step) => respond.ttl * step),
    minWriteIntervalMs: respond.minWriteInterval,
    protect: respond.protect,
    budgets: {
      limitsMax: budgets.limits,
      clientsPerApiMax: budgets.perApi,
      cecsMax: budgets.objects,
      writesPerMinuteMax: budgets.writesPerMinute,
    },
  }
}

function targetOf(
  { mode, target, directory }: Config['respond'],
  access: KubernetesAccess | undefined,
): Target {
  if (target === 'directory' && directory !== undefined) {
    return { target: createDirectoryTarget(directory) }
  }
  // What only observes asks the cluster for nothing.
  if (target !== 'kubernetes' || mode === 'observe') return { target: null }
  if (access === undefined) {
    throw new ConfigError('Cannot write limits to Kubernetes: no cluster is configured')
  }
  const kubernetes = createKubernetesTarget({ connect: access })
  return { target: kubernetes, targetComponent: kubernetes }
}
