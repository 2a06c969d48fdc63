package athena

// Functions of numbers.

var numberFunctions = map[string]function{
	"abs":      math("abs", 1, 1, typ{}),
	"ceil":     math("ceil", 1, 1, typ{}),
	"ceiling":  math("ceil", 1, 1, typ{}),
	"floor":    math("floor", 1, 1, typ{}),
	"round":    math("round", 1, 2, typ{}),
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
		a, b := asNumber(c.args[0]), asNumber(c.args[1])
		return operand{node: operatorCall("%", a.node, b.node), typ: numberType([]operand{a, b})}, nil
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

	"bitwise_and":         tmpl(2, `("@1" & "@2")`, tInt),
	"bitwise_or":          tmpl(2, `("@1" | "@2")`, tInt),
	"bitwise_xor":         tmpl(2, `xor("@1", "@2")`, tInt),
	"bitwise_not":         tmpl(1, `-1 - "@1"`, tInt),
	"bitwise_left_shift":  tmpl(2, `("@1" << "@2")`, tInt),
	"bitwise_right_shift": tmpl(2, `("@1" >> "@2")`, tInt),
}

// hexToInt reads hexadecimal digits; DuckDB's casts read them with 0x only as
// literals.
const hexToInt = `list_reduce(list_transform(string_split(lower("@1"), ''), lambda d: strpos('0123456789abcdef', d) - 1), lambda a, b: CASE WHEN a < 0 OR b < 0 THEN error('from_base: not a hexadecimal number') ELSE a * 16 + b END)`
