import { connect, createServer } from 'node:net'
import { onTestFinished } from 'vitest'

/** Another address of `target` (host:port), until the test ends. */
export async function forwarderTo(target: string) {
  const at = target.lastIndexOf(':')
  let connections = 0
  const server = createServer((socket) => {
    connections++
    const onward = connect(Number(target.slice(at + 1)), target.slice(0, at))
    socket.pipe(onward).pipe(socket)
    for (const [one, other] of [
      [socket, onward],
      [onward, socket],
    ] as const) {
      one.on('error', () => other.destroy())
      one.on('close', () => other.destroy())
    }
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => void server.close())
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('Cannot forward: no port')
  return { address: `127.0.0.1:${address.port}`, connections: () => connections }
}
