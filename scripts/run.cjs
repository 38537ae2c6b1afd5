/*
 * Where every npm script starts. Plain ES5, so that a Node of any age says one clear line; the work
 * is in bootstrap/, which needs Node 20 and nothing else.
 */
'use strict';

var version = process.versions.node;

if (Number(version.split('.')[0]) < 20) {
  process.stderr.write('sovereign-seed needs Node 20 or newer to install its own; this is Node ' + version + '.\n');
  process.exitCode = 1;
} else {
  require('./bootstrap/main.cjs');
}
