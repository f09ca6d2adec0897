// Apparent temperature: Steadman, "Norms of apparent temperature in Australia", 1994.
exports.tools = [{
  name: 'feels-like',
  description: 'How warm it feels, from temperature, wind and humidity.',
  readOnly: true,
  idempotent: true,
  parameters: {
    type: 'object',
    required: ['celsius'],
    additionalProperties: false,
    properties: {
      celsius: { type: 'number', minimum: -90, maximum: 60 },
      windMetresPerSecond: { type: 'number', minimum: 0, maximum: 120 },
      humidityPercent: { type: 'number', minimum: 0, maximum: 100 },
    },
  },
  run({ celsius, windMetresPerSecond = 0, humidityPercent = 50 }, ctx) {
    const vapour = humidityPercent / 100 * 6.105 * Math.exp(17.27 * celsius / (237.7 + celsius));
    const feels = Math.round((celsius + 0.33 * vapour - 0.7 * windMetresPerSecond - 4) * 10) / 10;
    ctx?.logger?.debug(`${celsius} °C feels like ${feels} °C`);
    return { feelsLikeCelsius: feels, wear: feels < 0 ? 'a winter coat' : feels < 10 ? 'a coat' : feels < 18 ? 'a pullover' : 'light clothes' };
  },
}];
