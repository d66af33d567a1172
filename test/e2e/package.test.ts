import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, it } from 'vitest'
import { directoryOf } from '../fixtures/directory.ts'
import { httpRequest, httpResponse } from '../fixtures/hubble-flows.ts'
import { captureOf } from '../fixtures/shop.ts'

const execute = promisify(execFile)
const env = Object.fromEntries(
  Object.entries(process.env).filter(([name]) => !name.startsWith('WEIR_')),
)
const run = (command: string, args: readonly string[], options = {}) =>
  execute(command, args, { env, ...options })

it('works when it is packed and installed: built JavaScript, its protos and its worker', async () => {
  const flow = { atMs: 1_760_000_000_000, uuid: 'a' }
  const directory = directoryOf({
    'capture.jsonl': captureOf([
      httpRequest(flow),
      httpResponse({ ...flow, atMs: flow.atMs + 3, uuid: 'b', code: 200 }),
    ]),
    'package.json': '{"private": true}',
  })
  const { stdout: packed } = await run('npm', ['pack', '--silent', '--pack-destination', directory])
  const tarball = join(directory, packed.trim().split('\n').at(-1) ?? '')
  await run('npm', ['install', '--silent', '--no-audit', '--no-fund', tarball], { cwd: directory })
  const weir = join(directory, 'node_modules', '.bin', 'weir')
  const capture = join(directory, 'capture.jsonl')
  const summary = await run(weir, ['replay', capture, '--json'], { cwd: directory })
  expect(JSON.parse(summary.stdout)).toMatchObject({ flows: 2, calls: 1, paired: 1 })
  // Ends by itself at the end of the file, having written the events on its worker.
  const listen = ['--listen', '127.0.0.1:0', '--log-level', 'warn']
  const served = await run(weir, ['run', '--file', capture, ...listen], { cwd: directory })
  expect(served.stderr).toBe('')
})
