#!/usr/bin/env node
/*
 * The `seed` command. This file is plain ES5 and loads nothing before the check, so that a Node of
 * any age says one clear line: the native database module crashes the process below 22.14.
 */
'use strict';

var version = process.versions.node.split('.');
var major = Number(version[0]);

if (major < 22 || (major === 22 && Number(version[1]) < 14)) {
  process.stderr.write('seed needs Node 22.14 or newer; this is Node ' + process.versions.node + '.\n');
  process.exitCode = 1;
} else {
  require('./launch.cjs');
}
