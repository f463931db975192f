// Jest's own runner, one file after another: two clusters at once on two cores would measure each other.
'use strict';
const { default: TestRunner } = require('jest-runner');

module.exports = class SerialRunner extends TestRunner {
  isSerial = true;
};
