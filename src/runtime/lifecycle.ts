export interface Component {
  readonly name: string
  start(signal: AbortSignal): Promise<void>
  /** Stops intake, flushes, releases. Safe unstarted and safe twice; gives up at `deadline`. */
  stop(deadline: AbortSignal): Promise<void>
}

/** A component that ends itself at the deadline has not failed: it gets this long to do so, in ms. */
const GRACE_MS = 500

/**
 * Starts against the flow of data and stops with it: sinks listen before the source speaks, and
 * the source is silent before sinks flush. `components` is in data order, source first.
 */
export class Lifecycle {
  readonly #started: Component[] = []

  /** On failure, what had started is left for `stop()`: the caller runs it either way. */
  async start(components: readonly Component[], signal: AbortSignal): Promise<void> {
    for (const component of components.toReversed()) {
      signal.throwIfAborted()
      await component.start(signal)
      this.#started.unshift(component)
    }
  }

  /** Visits every component even when one fails or hangs; reports all failures together. */
  async stop(deadline: AbortSignal): Promise<void> {
    const failures: Error[] = []
    for (const component of this.#started.splice(0)) {
      try {
        await endOf(component.stop(deadline), deadline)
      } catch (cause) {
        failures.push(new Error(`Cannot stop ${component.name}`, { cause }))
      }
    }
    if (failures.length > 0) throw new AggregateError(failures, 'Cannot stop cleanly')
  }
}

async function endOf(stopping: Promise<void>, deadline: AbortSignal): Promise<void> {
  const { promise: late, reject } = Promise.withResolvers<never>()
  let timer: NodeJS.Timeout | undefined
  const expire = (): void => {
    timer = setTimeout(() => reject(deadline.reason), GRACE_MS)
  }
  if (deadline.aborted) expire()
  deadline.addEventListener('abort', expire, { once: true })
  try {
    await Promise.race([stopping, late])
  } finally {
    clearTimeout(timer)
    deadline.removeEventListener('abort', expire)
  }
}
