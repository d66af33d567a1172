import { setTimeout as sleep } from 'node:timers/promises'
import { onTestFinished } from 'vitest'
import {
  createObjectWatch,
  type ObjectWatch,
  type ObjectWatchOptions,
  type ResourceStatus,
} from '../../../src/kubernetes/object-watch.ts'
import type { Kubernetes } from '../../services/kubernetes.ts'

const UNTIL_MS = 20_000

/** A watch that writes down what it is told. */
export interface RecordedWatch {
  readonly watch: ObjectWatch
  /** `RESOURCE COUNT` for each whole list. */
  readonly lists: string[]
  /** `TYPE NAMESPACE/NAME` for each change. */
  readonly changes: string[]
  /** `RESOURCE STATE` for each state. */
  readonly states: string[]
  /** RESOURCE → the last reason. */
  readonly reasons: Map<string, string>
  readonly synced: () => number
  readonly status: () => readonly ResourceStatus[]
  /** Names of the objects as they are now. */
  readonly names: () => string[]
}

export function asWeir(kubernetes: Kubernetes) {
  const { server, caFile, weirToken: token } = kubernetes
  return { from: 'server', server, caFile, token } as const
}

/** As the user `weir`, impatient; stopped when the test has finished. */
export async function startWatch(
  kubernetes: Kubernetes,
  options: Partial<ObjectWatchOptions> & Pick<ObjectWatchOptions, 'resources'>,
): Promise<RecordedWatch> {
  const lists: string[] = []
  const changes: string[] = []
  const states: string[] = []
  const reasons = new Map<string, string>()
  let synced = 0
  const watch = createObjectWatch({
    connect: asWeir(kubernetes),
    onObjects: (resource, objects) => lists.push(`${resource} ${objects.length}`),
    onChange: (_resource, { type, object: { metadata } }) =>
      changes.push(`${type} ${metadata.namespace ?? ''}/${metadata.name}`),
    onState: (state, resource, reason) => {
      states.push(`${resource} ${state}`)
      reasons.set(resource, reason)
    },
    onSynced: () => synced++,
    ...options,
    timing: { backoffMs: () => 50, probeEveryMs: 200, ...options.timing },
  })
  await watch.start(new AbortController().signal)
  onTestFinished(() => watch.stop(AbortSignal.timeout(5_000)))
  const names = (): string[] => watch.objects().map(({ metadata }) => metadata.name)
  const status = (): readonly ResourceStatus[] => watch.status()
  return { watch, lists, changes, states, reasons, synced: () => synced, status, names }
}

/** Polls until `isSo` says yes. @throws {Error} with `about` after 20 s. */
export async function until(isSo: () => boolean, about: () => unknown = () => ''): Promise<void> {
  const deadline = Date.now() + UNTIL_MS
  while (!isSo()) {
    if (Date.now() > deadline) {
      throw new Error(
        `Cannot go on: it was not so after ${UNTIL_MS} ms: ${JSON.stringify(about())}`,
      )
    }
    await sleep(10)
  }
}
