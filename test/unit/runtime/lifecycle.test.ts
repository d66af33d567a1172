import { describe, expect, it } from 'vitest'
import { type Component, Lifecycle } from '../../../src/runtime/lifecycle.ts'

function component(name: string, stop: Component['stop'], calls: string[] = []): Component {
  return {
    name,
    start: async () => void calls.push(`start ${name}`),
    stop: async (deadline) => {
      calls.push(`stop ${name}`)
      await stop(deadline)
    },
  }
}

const atOnce = async (): Promise<void> => {}
const never = (): Promise<void> => new Promise(() => {})
/** As a delivery does: waits for what is away, and gives up at the deadline. */
const atDeadline = (deadline: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    deadline.addEventListener('abort', () => setTimeout(resolve, 10), { once: true })
  })

async function started(...components: Component[]): Promise<Lifecycle> {
  const lifecycle = new Lifecycle()
  await lifecycle.start(components, new AbortController().signal)
  return lifecycle
}

describe('Lifecycle', () => {
  it('starts against the flow of data and stops with it', async () => {
    const calls: string[] = []
    const lifecycle = await started(
      component('source', atOnce, calls),
      component('sink', atOnce, calls),
    )
    await lifecycle.stop(new AbortController().signal)
    expect(calls).toEqual(['start sink', 'start source', 'stop source', 'stop sink'])
  })

  it('a component that gives up at the deadline by itself has not failed', async () => {
    const lifecycle = await started(component('events', atDeadline))
    await expect(lifecycle.stop(AbortSignal.timeout(20))).resolves.toBeUndefined()
  })

  it('names the component that hangs, and stops the others', async () => {
    const calls: string[] = []
    const lifecycle = await started(
      component('stuck', never, calls),
      component('sink', atOnce, calls),
    )
    await expect(lifecycle.stop(AbortSignal.timeout(20))).rejects.toMatchObject({
      errors: [{ message: 'Cannot stop stuck' }],
    })
    expect(calls).toContain('stop sink')
  })
})
