import type { Api, Operation } from '../model/api.ts'
import { KNOWN_METHODS } from '../model/http-method.ts'
import { LabelBudget } from '../model/label-budget.ts'
import { ClusterLabel } from './cluster-label.ts'

const METHODS = [...KNOWN_METHODS, '_OTHER']
const METHOD_INDEXES: ReadonlyMap<string, number> = new Map(METHODS.map((name, i) => [name, i]))
const METHOD_OTHER = METHODS.length - 1

export interface LabelBudgets {
  /** Distinct values of `api`, and of the other labels that an API's CR fills, each. */
  readonly apisMax: number
  readonly operationsMax: number
  /** Distinct workloads, each for source and destination. */
  readonly workloadsMax: number
  /** Label sets of one metric; default 50,000. Beyond them the open labels of an update are `other`. */
  readonly seriesMax?: number
  /** Names of the source clusters. Series tell theirs where there is more than one. */
  readonly clusters?: readonly string[]
  /** Hears of each update beyond a budget; `series`: beyond `seriesMax`. */
  readonly onOverflow: (label: string) => void
}

/** What the calls of one operation with one method count in: its labels, and room for their cells. */
export interface ApiRow {
  /** Values of cluster (where it is shown), api, namespace, version, operation. */
  readonly labels: readonly string[]
  readonly environment: string
  readonly method: string
  /** Cells of the series, 0 where one was not needed yet; the places are the caller's. */
  readonly cells: Int32Array
}

interface ApiLabels {
  readonly name: string
  readonly namespace: string
  readonly version: string
  readonly environment: string
  /** Labels whose budget was spent when this API came. */
  readonly overflows: readonly string[]
  readonly byOperation: WeakMap<Operation, OperationRows>
  /** Of calls without an operation. */
  readonly none: OperationRows
}

/** The rows of one operation of one API, by cluster and method. */
interface OperationRows {
  readonly template: string
  readonly overflows: readonly string[]
  readonly rows: (ApiRow | undefined)[]
}

/**
 * Finds the row of a call by the objects of its API and operation, so that no text is looked at for
 * one that is known. Forgets with the catalogue that the objects are of; their labels are kept by
 * the budgets, so the same API in the next one gets the same labels.
 */
export class ApiRows {
  readonly cluster: ClusterLabel
  readonly #budgets: LabelBudgets
  readonly #width: number
  readonly #byApi = new WeakMap<Api, ApiLabels>()
  readonly #apis: LabelBudget
  readonly #namespaces: LabelBudget
  readonly #versions: LabelBudget
  readonly #environments: LabelBudget
  readonly #operations: LabelBudget
  readonly #none: ApiLabels
  /** Labels whose budget refused a value since this was emptied. */
  #refused: string[] = []

  /** `width`: cells of a row. */
  constructor(budgets: LabelBudgets, width: number) {
    this.#budgets = budgets
    this.#width = width
    this.cluster = new ClusterLabel(budgets.clusters ?? [])
    const budget = (label: string, valuesMax: number) =>
      new LabelBudget(valuesMax, () => this.#refused.push(label))
    this.#apis = budget('api', budgets.apisMax)
    this.#namespaces = budget('namespace', budgets.apisMax)
    this.#versions = budget('version', budgets.apisMax)
    this.#environments = budget('environment', budgets.apisMax)
    this.#operations = budget('operation', budgets.operationsMax)
    this.#none = this.#labelsOf(null)
  }

  rowOf(api: Api | null, operation: Operation | null, method: string, cluster: string): ApiRow {
    const labels = api === null ? this.#none : (this.#byApi.get(api) ?? this.#addApi(api))
    const rows =
      operation === null
        ? labels.none
        : (labels.byOperation.get(operation) ?? this.#addOperation(labels, operation))
    for (const label of rows.overflows) this.#budgets.onOverflow(label)
    const clusterIndex = this.cluster.indexOf(cluster)
    const methodIndex = METHOD_INDEXES.get(method) ?? METHOD_OTHER
    const at = clusterIndex * METHODS.length + methodIndex
    return rows.rows[at] ?? this.#addRow(labels, rows, clusterIndex, methodIndex)
  }

  #addApi(api: Api): ApiLabels {
    const labels = this.#labelsOf(api)
    this.#byApi.set(api, labels)
    return labels
  }

  #labelsOf(api: Api | null): ApiLabels {
    this.#refused = []
    const name = this.#apis.valueOf(api?.name ?? '')
    const namespace = this.#namespaces.valueOf(api?.namespace ?? '')
    const version = this.#versions.valueOf(api?.version ?? '')
    const environment = this.#environments.valueOf(api?.environment ?? '')
    const overflows = this.#refused
    const none: OperationRows = { template: '', overflows, rows: [] }
    const byOperation = new WeakMap<Operation, OperationRows>()
    return { name, namespace, version, environment, overflows, byOperation, none }
  }

  #addOperation(labels: ApiLabels, operation: Operation): OperationRows {
    this.#refused = []
    const template = this.#operations.valueOf(operation.template)
    const overflows = [...labels.overflows, ...this.#refused]
    const rows: OperationRows = { template, overflows, rows: [] }
    labels.byOperation.set(operation, rows)
    return rows
  }

  #addRow(
    { name, namespace, version, environment }: ApiLabels,
    { template, rows }: OperationRows,
    clusterIndex: number,
    methodIndex: number,
  ): ApiRow {
    const row: ApiRow = {
      labels: [...this.cluster.valuesOf(clusterIndex), name, namespace, version, template],
      environment,
      method: METHODS[methodIndex] ?? '',
      cells: new Int32Array(this.#width),
    }
    rows[clusterIndex * METHODS.length + methodIndex] = row
    return row
  }
}
