import type { Config } from '../config/schema.ts'
import { createDirectoryTarget } from '../respond/directory-target.ts'
import type { ResponderOptions } from '../respond/responder.ts'

/** A repeated limit acts longer: these are the steps, in times of `respond.ttl`. */
const TTL_STEPS = [1, 3, 12] as const

/** The configuration's part of what `respond` is made of. */
export function respondOptions(
  respond: Config['respond'],
): Pick<
  ResponderOptions,
  'mode' | 'target' | 'shadowMs' | 'ttlMs' | 'minWriteIntervalMs' | 'protect' | 'budgets'
> {
  const { mode, target, directory, budgets } = respond
  const isWriting = target === 'directory' && directory !== undefined
  return {
    mode,
    target: isWriting ? createDirectoryTarget(directory) : null,
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
