// FOLDER COUNT: so many transactions in SQLite (WAL, synchronous FULL); prints how long they took, in seconds.
import { enterTransaction, openBooks } from '../../lab/shop/sqlite.js';

const [folder = '.', count = '100'] = process.argv.slice(2);
const db = openBooks(folder, 'wal');
enterTransaction(db);
const begin = performance.now();
for (let i = 0; i < Number(count); i++) enterTransaction(db);
console.log((performance.now() - begin) / 1000);
db.close();
