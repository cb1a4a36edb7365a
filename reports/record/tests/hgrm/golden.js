// Prints long-tail.hgrm with hdr-histogram-js (3.0.1):
//   npm install hdr-histogram-js@3.0.1 && node golden.js > long-tail.hgrm
const hdr = require("hdr-histogram-js");

const histogram = hdr.build({
  bitBucketSize: 64,
  autoResize: true,
  lowestDiscernibleValue: 1,
  highestTrackableValue: 2,
  numberOfSignificantValueDigits: 3,
  useWebAssembly: false,
});
// The same values as in ../hgrm.rs: most of them near a millisecond, a few up to minutes.
let x = 1;
for (let count = 0; count < 200000; count++) {
  x = (x * 48271) % 2147483647;
  const y = x % 100003;
  histogram.recordValue(Math.floor(90000000000 / (1 + y)) + (x % 1009));
}
process.stdout.write(histogram.outputPercentileDistribution(5, 1e6));
