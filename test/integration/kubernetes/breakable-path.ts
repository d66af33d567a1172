import { connect, createServer, type Socket } from 'node:net'
import { onTestFinished } from 'vitest'

/** Another address of a server, until the test ends; a path that can be cut. */
export interface BreakablePath {
  /** `https://127.0.0.1:PORT` */
  readonly server: string
  /** Ends all connections, and new ones at once. */
  cut(): void
  /** Swallows what comes from the server; connections stay. */
  hush(): void
  mend(): void
}

export async function breakablePathTo(target: string): Promise<BreakablePath> {
  const { hostname, port } = new URL(target)
  const sockets = new Set<Socket>()
  let state: 'open' | 'cut' | 'hushed' = 'open'
  const server = createServer((socket) => {
    if (state === 'cut') return void socket.destroy()
    const onward = connect(Number(port), hostname)
    socket.pipe(onward)
    onward.on('data', (chunk) => state !== 'hushed' && socket.write(chunk))
    for (const [one, other] of [
      [socket, onward],
      [onward, socket],
    ] as const) {
      sockets.add(one)
      one.on('error', () => other.destroy())
      one.on('close', () => {
        sockets.delete(one)
        other.destroy()
      })
    }
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const cut = (): void => {
    state = 'cut'
    for (const socket of sockets) socket.destroy()
  }
  onTestFinished(() => {
    cut()
    server.close()
  })
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('Cannot forward: no port')
  return {
    server: `https://127.0.0.1:${address.port}`,
    cut,
    hush: () => {
      state = 'hushed'
    },
    mend: () => {
      state = 'open'
    },
  }
}
