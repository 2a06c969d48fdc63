package athena

// Functions of numbers.

var numberFunctions = map[string]function{
	"abs":      math("abs", 1, 1, typ{}),
	"ceil":     math("ceil", 1, 1, typ{}),
	"ceiling":  math("ceil", 1, 1, typ{}),
	"floor":    math("floor", 1, 1, typ{}),
	"round":    {min: 1, max: 2, build: roundTo},
	"truncate": math("trunc", 1, 2, typ{}),
	"trunc":    math("trunc", 1, 1, typ{}), // the parser writes INTERVAL '1' DAY with it
	"sign":     math("sign", 1, 1, typ{}),
	"sqrt":     math("sqrt", 1, 1, tFloat),
	"cbrt":     math("cbrt", 1, 1, tFloat),
	"exp":      math("exp", 1, 1, tFloat),
	"ln":       math("ln", 1, 1, tFloat),
	"log2":     math("log2", 1, 1, tFloat),
	"log10":    math("log10", 1, 1, tFloat),
	"log":      tmpl(2, `ln("@2") / ln("@1")`, tFloat),
	"pow":      math("pow", 2, 2, tFloat),
	"power":    math("pow", 2, 2, tFloat),
	"mod": {min: 2, max: 2, build: func(c *call) (operand, error) {
		args := []operand{asNumber(c.args[0]), asNumber(c.args[1])}
		t := numberType(args)
		if t.kind == kInt || t.kind == kDecimal {
			return c.r.divide("%", args, t)
		}
		return operand{node: operatorCall("%", args[0].node, args[1].node), typ: t}, nil
	}},
	"pi":          plain("pi", 0, 0, tFloat),
	"e":           tmpl(0, `exp(1)`, tFloat),
	"degrees":     math("degrees", 1, 1, tFloat),
	"radians":     math("radians", 1, 1, tFloat),
	"sin":         math("sin", 1, 1, tFloat),
	"cos":         math("cos", 1, 1, tFloat),
	"tan":         math("tan", 1, 1, tFloat),
	"asin":        math("asin", 1, 1, tFloat),
	"acos":        math("acos", 1, 1, tFloat),
	"atan":        math("atan", 1, 1, tFloat),
	"atan2":       math("atan2", 2, 2, tFloat),
	"rand":        tmpl(0, `random()`, tFloat),
	"random":      tmpl(0, `random()`, tFloat),
	"is_nan":      plain("isnan", 1, 1, tBool),
	"is_finite":   plain("isfinite", 1, 1, tBool),
	"is_infinite": plain("isinf", 1, 1, tBool),
	"infinity":    tmpl(0, `CAST('inf' AS DOUBLE)`, tFloat),
	"nan":         tmpl(0, `CAST('nan' AS DOUBLE)`, tFloat),
	"to_base":     tmpl(2, `lower(to_base("@1", "@2"))`, tText),
	"from_base": {min: 2, max: 2, build: func(c *call) (operand, error) {
		if i, ok := constInt(c.args[1].node); !ok || i != 16 && i != 10 {
			return operand{}, c.fault("only the bases 10 and 16 are supported")
		} else if i == 10 {
			return c.template(`CAST("@1" AS BIGINT)`, tInt)
		}
		return c.template(hexToInt, tInt)
	}},

	"width_bucket": tmpl(4, widthBucket, tInt),
	"bit_count": {min: 2, max: 2, build: func(c *call) (operand, error) {
		if i, ok := constInt(c.args[1].node); !ok || i != 64 {
			return operand{}, c.fault("only 64 bits are supported")
		}
		return c.template(`CAST(bit_count(CAST("@1" AS BIGINT)) AS BIGINT)`, tInt)
	}},
	"bitwise_and":         tmpl(2, `("@1" & "@2")`, tInt),
	"bitwise_or":          tmpl(2, `("@1" | "@2")`, tInt),
	"bitwise_xor":         tmpl(2, `xor("@1", "@2")`, tInt),
	"bitwise_not":         tmpl(1, `-1 - "@1"`, tInt),
	"bitwise_left_shift":  tmpl(2, `("@1" << "@2")`, tInt),
	"bitwise_right_shift": tmpl(2, `("@1" >> "@2")`, tInt),
}

// roundTo rounds half away from zero, as DuckDB does.
func roundTo(c *call) (operand, error) {
	c.args[0] = asNumber(c.args[0])
	t := c.args[0].typ
	if len(c.args) == 1 {
		t.scale = 0
	}
	return operand{node: c.rename("round"), typ: t}, nil
}

// widthBucket numbers n ranges of equal width between two bounds; 0 is below, n + 1 above.
const widthBucket = `CASE WHEN "@4" < 1 OR "@2" = "@3" THEN error('width_bucket: the bounds are equal or there is no bucket')
	WHEN "@2" < "@3" THEN CASE WHEN "@1" < "@2" THEN 0 WHEN "@1" >= "@3" THEN "@4" + 1 ELSE CAST(floor(("@1" - "@2") * CAST("@4" AS DOUBLE) / ("@3" - "@2")) AS BIGINT) + 1 END
	ELSE CASE WHEN "@1" > "@2" THEN 0 WHEN "@1" <= "@3" THEN "@4" + 1 ELSE CAST(floor(("@2" - "@1") * CAST("@4" AS DOUBLE) / ("@2" - "@3")) AS BIGINT) + 1 END END`

// hexToInt reads hexadecimal digits; DuckDB's casts read them with 0x only as
// literals.
const hexToInt = `list_reduce(list_transform(string_split(lower("@1"), ''), lambda d: strpos('0123456789abcdef', d) - 1), lambda a, b: CASE WHEN a < 0 OR b < 0 THEN error('from_base: not a hexadecimal number') ELSE a * 16 + b END)`
