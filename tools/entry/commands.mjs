// What each command needs, builds and runs.
//   needs   groups of entry/packages.mjs
//   builds  steps of entry/build.mjs
//   lab     makes network namespaces: root, or an ordinary user who may
//   main    the compiled program that does the rest

/** @typedef {{ needs: string[], builds: string[], lab: boolean, main: string }} Command */

/** @type {Record<string, Command>} */
export const commands = {
  demo: {
    needs: ['build', 'lab'],
    builds: ['typescript', 'addon', 'demo'],
    lab: true,
    main: 'dist/tools/demo/main.js',
  },
  test: {
    needs: ['build', 'lab', 'test', 'databases', 'lint', 'wine'],
    builds: ['typescript', 'addon', 'addon-win32', 'node-win32', 'host', 'host-asan', 'pe'],
    lab: true,
    main: 'dist/tools/runner/main.js',
  },
  bench: {
    needs: ['build', 'lab', 'bench'],
    builds: ['typescript', 'addon', 'host'],
    lab: true,
    main: 'dist/tools/bench/main.js',
  },
  soak: {
    needs: ['build', 'lab', 'test', 'databases'],
    builds: ['typescript', 'addon', 'host', 'host-asan'],
    lab: true,
    main: 'dist/tools/runner/soak.js',
  },
  lab: {
    needs: ['build', 'lab'],
    builds: ['typescript'],
    lab: false,
    main: 'dist/tools/lab/main.js',
  },
};
