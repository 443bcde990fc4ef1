/**
 * A shop's books, made so that a copy of the database tells by itself whether it is the state after some first
 * so many transactions.
 *
 * Transaction n moves an amount between two accounts, notes that in the history under n, and enters order n with
 * its lines. So in any state that ever was: the balances sum to what there was at first and are those that the
 * history gives, the history has 1 .. k without a gap, there are k orders, and each order's lines sum to its total.
 * A database's own check says nothing of all that.
 */

export const ACCOUNTS = 100;
export const OPENING_BALANCE = 1000;

/** What transaction n does; the same each time. */
export interface Transaction {
  readonly n: number;
  readonly source: number;
  readonly target: number;
  readonly amount: number;
  readonly lines: readonly number[];
}

export function transaction(n: number): Transaction {
  const mixed = (salt: number): number => {
    const x = Math.imul(n ^ (salt * 0x9e3779b1), 0x85ebca6b) >>> 0;
    return (x ^ (x >>> 13)) >>> 0;
  };
  const source = mixed(1) % ACCOUNTS;
  const target = (source + 1 + (mixed(2) % (ACCOUNTS - 1))) % ACCOUNTS;
  const lines = Array.from({ length: 1 + (mixed(3) % 4) }, (_, i) => 1 + (mixed(4 + i) % 500));
  return { n, source, target, amount: 1 + (mixed(9) % 50), lines };
}

/** The tables, in SQL that SQLite and PostgreSQL both take. */
export const schema = [
  'CREATE TABLE accounts (id INTEGER PRIMARY KEY, balance BIGINT NOT NULL)',
  'CREATE TABLE history (n BIGINT PRIMARY KEY, source INTEGER NOT NULL, target INTEGER NOT NULL, amount BIGINT NOT NULL)',
  'CREATE TABLE orders (n BIGINT PRIMARY KEY, total BIGINT NOT NULL, note TEXT NOT NULL)',
  'CREATE TABLE lines (n BIGINT NOT NULL, line INTEGER NOT NULL, price BIGINT NOT NULL, PRIMARY KEY (n, line))',
];

export function openingStatements(): string[] {
  return [
    ...schema,
    ...Array.from(
      { length: ACCOUNTS },
      (_, id) => `INSERT INTO accounts VALUES (${id}, ${OPENING_BALANCE})`,
    ),
  ];
}

/** The statements between BEGIN and COMMIT. */
export function statements({ n, source, target, amount, lines }: Transaction): string[] {
  const total = lines.reduce((sum, price) => sum + price, 0);
  return [
    `UPDATE accounts SET balance = balance - ${amount} WHERE id = ${source}`,
    `UPDATE accounts SET balance = balance + ${amount} WHERE id = ${target}`,
    `INSERT INTO history VALUES (${n}, ${source}, ${target}, ${amount})`,
    `INSERT INTO orders VALUES (${n}, ${total}, 'order ${n} ${'x'.repeat(n % 200)}')`,
    ...lines.map((price, line) => `INSERT INTO lines VALUES (${n}, ${line}, ${price})`),
  ];
}

/** A query that gives one number, and what it must be. k is the number of transactions that are present. */
export const questions: readonly {
  readonly what: string;
  readonly sql: string;
  readonly expected: (k: number) => number;
}[] = [
  {
    what: 'sum of all balances',
    sql: 'SELECT COALESCE(SUM(balance), 0) FROM accounts',
    expected: () => ACCOUNTS * OPENING_BALANCE,
  },
  {
    what: 'highest number in the history',
    sql: 'SELECT COALESCE(MAX(n), 0) FROM history',
    expected: (k) => k,
  },
  { what: 'orders', sql: 'SELECT COUNT(*) FROM orders WHERE n >= 1', expected: (k) => k },
  {
    what: 'highest order',
    sql: 'SELECT COALESCE(MAX(n), 0) FROM orders',
    expected: (k) => k,
  },
  {
    what: 'orders whose lines do not sum to their total',
    sql: 'SELECT COUNT(*) FROM orders o WHERE total <> (SELECT COALESCE(SUM(price), 0) FROM lines l WHERE l.n = o.n)',
    expected: () => 0,
  },
  {
    what: 'lines without an order',
    sql: 'SELECT COUNT(*) FROM lines WHERE n NOT IN (SELECT n FROM orders)',
    expected: () => 0,
  },
  {
    what: 'accounts whose balance is not what the history gives',
    sql:
      `SELECT COUNT(*) FROM accounts a WHERE balance <> ${OPENING_BALANCE}` +
      ' + (SELECT COALESCE(SUM(amount), 0) FROM history WHERE target = a.id)' +
      ' - (SELECT COALESCE(SUM(amount), 0) FROM history WHERE source = a.id)',
    expected: () => 0,
  },
];

export const countTransactions = 'SELECT COUNT(*) FROM history';

/** What is wrong, and how many transactions there are. */
export interface Audit {
  readonly transactions: number;
  readonly problems: readonly string[];
}

export function audit(ask: (sql: string) => number): Audit {
  const transactions = ask(countTransactions);
  const problems = questions.flatMap(({ what, sql, expected }) => {
    const got = ask(sql);
    const wanted = expected(transactions);
    return got === wanted ? [] : [`${what}: ${got}, should be ${wanted}`];
  });
  return { transactions, problems };
}
