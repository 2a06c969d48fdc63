package athena

import (
	"fmt"
	"net/netip"
	"strings"
)

// IP addresses. DuckDB as shipped has no type for them, so that an IPADDRESS is
// a UHUGEINT here: the 128 bits of its IPv6 form, IPv4 as ::ffff:a.b.c.d. They
// compare as Trino's do.

// ipNumber reads an address. What is none becomes null, unlike in Trino: logs
// hold names of services and "-" where addresses are expected.
const ipNumber = `list_transform([regexp_replace("@1", '^::[fF]{4}:([0-9]+[.])', '\1')], lambda s:
  CASE
  WHEN regexp_full_match(s, '(?:(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])\.){3}(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])') THEN
    list_reduce(list_transform(string_split(s, '.'), lambda d: CAST(d AS UHUGEINT)), lambda a, b: a * CAST(256 AS UHUGEINT) + b) + CAST(281470681743360 AS UHUGEINT)
  WHEN regexp_full_match(s, '[0-9a-fA-F:]{2,39}') AND NOT regexp_matches(s, ':::|::.*::|[0-9a-fA-F]{5}|^:[^:]|[^:]:$')
    AND CASE WHEN contains(s, '::') THEN len(string_split(s, ':')) <= 8 OR (len(string_split(s, ':')) = 9 AND (starts_with(s, '::') OR suffix(s, '::'))) ELSE len(string_split(s, ':')) = 8 END THEN
    list_reduce(
      list_transform(
        list_concat(
          list_filter(string_split(string_split(s, '::')[1], ':'), lambda h: h <> ''),
          CASE WHEN contains(s, '::') THEN list_transform(range(8 - len(list_filter(string_split(s, ':'), lambda h: h <> ''))), lambda z: '0') ELSE [] END,
          list_filter(string_split(coalesce(string_split(s, '::')[2], ''), ':'), lambda h: h <> '')),
        lambda h: CAST(list_reduce(list_transform(string_split(lower(h), ''), lambda d: strpos('0123456789abcdef', d) - 1), lambda a, b: a * 16 + b) AS UHUGEINT)),
      lambda a, b: a * CAST(65536 AS UHUGEINT) + b)
  END)[1]`

// ipText writes an address: IPv4 with dots, IPv6 as eight groups without "::".
const ipText = `list_transform(["@1"], lambda n:
  CASE
  WHEN n IS NULL THEN NULL
  WHEN n // CAST(4294967296 AS UHUGEINT) = CAST(65535 AS UHUGEINT) THEN
    array_to_string(list_transform([16777216, 65536, 256, 1], lambda p: CAST(n // CAST(p AS UHUGEINT) % CAST(256 AS UHUGEINT) AS VARCHAR)), '.')
  ELSE
    array_to_string(list_transform(range(7, -1, -1), lambda i: lower(to_base(CAST(n // CAST(pow(CAST(65536 AS DOUBLE), i) AS UHUGEINT) % CAST(65536 AS UHUGEINT) AS BIGINT), 16))), ':')
  END)[1]`

// toIP makes an address of an operand.
func (r *rewriter) toIP(op operand) (operand, error) {
	if op.typ.kind == kIP {
		return op, nil
	}
	if s, ok := constText(op.node); ok {
		a, err := netip.ParseAddr(s)
		if err != nil || a.Zone() != "" {
			return operand{}, fmt.Errorf("%q is no IP address", s)
		}
		return operand{node: ipConst(a), typ: typ{kind: kIP}}, nil
	}
	n, err := r.template(ipNumber, op.node)
	return operand{node: n, typ: typ{kind: kIP}}, err
}

func ipConst(a netip.Addr) node {
	b := a.As16()
	hi, lo := uint64(0), uint64(0)
	for i := range 8 {
		hi, lo = hi<<8|uint64(b[i]), lo<<8|uint64(b[8+i])
	}
	return castNode(textNode(decimal128(hi, lo)), "UHUGEINT", false)
}

// decimal128 writes a 128-bit number in decimal.
func decimal128(hi, lo uint64) string {
	var digits []byte
	words := [4]uint64{hi >> 32, hi & 0xffffffff, lo >> 32, lo & 0xffffffff}
	for {
		rem, zero := uint64(0), true
		for i := range words {
			rem = rem<<32 | words[i]
			words[i], rem = rem/10, rem%10
			zero = zero && words[i] == 0
		}
		digits = append(digits, byte('0'+rem))
		if zero {
			break
		}
	}
	for i, j := 0, len(digits)-1; i < j; i, j = i+1, j-1 {
		digits[i], digits[j] = digits[j], digits[i]
	}
	return string(digits)
}

// contains(array, element), or contains('10.0.0.0/8', address).
func contains(c *call) (operand, error) {
	if c.args[1].typ.kind == kIP || c.args[0].typ.kind == kText && isLiteral(c.args[0].node) && strings.Contains(first(constText(c.args[0].node)), "/") {
		return inSubnet(c)
	}
	l, err := c.r.asList(c.args[0], c.loc)
	if err != nil {
		return operand{}, err
	}
	c.args[0] = l
	if e := l.typ.element(); e.textual() && !c.args[1].typ.textual() && c.args[1].typ.kind != kUnknown {
		c.args[1].node = castNode(c.args[1].node, "VARCHAR", false)
	}
	return c.template(`CASE WHEN NOT list_contains("@1", "@2") AND `+hasNull(`"@1"`)+` THEN NULL ELSE list_contains("@1", "@2") END`, tBool)
}

func first(s string, _ bool) string { return s }

// inSubnet is is_subnet_of(prefix, address), with a constant prefix.
func inSubnet(c *call) (operand, error) {
	s, ok := constText(c.args[0].node)
	if !ok {
		return operand{}, c.fault("the network must be a constant such as '10.0.0.0/8'")
	}
	p, err := netip.ParsePrefix(s)
	if err != nil {
		return operand{}, c.fault("%q is no network: expected an address, / and a number of bits", s)
	}
	ip, err := c.r.toIP(c.args[1])
	if err != nil {
		return operand{}, c.fault("%v", err)
	}
	p = p.Masked()
	last := p.Addr().As16()
	bits := p.Bits()
	if p.Addr().Is4() {
		bits += 96
	}
	for i := bits; i < 128; i++ {
		last[i/8] |= 1 << (7 - i%8)
	}
	n := node{"class": "BETWEEN", "type": "COMPARE_BETWEEN", "alias": "", "query_location": noLocation,
		"input": ip.node, "lower": ipConst(p.Addr()), "upper": ipConst(netip.AddrFrom16(last))}
	return operand{node: n, typ: tBool}, nil
}

// ipPrefix is ip_prefix(address, bits) as text in CIDR form, for grouping by
// network.
func ipPrefix(c *call) (operand, error) {
	bits, ok := constInt(c.args[1].node)
	if !ok || bits < 0 || bits > 128 {
		return operand{}, c.fault("the number of bits must be a constant from 0 to 128")
	}
	ip, err := c.r.toIP(c.args[0])
	if err != nil {
		return operand{}, c.fault("%v", err)
	}
	// The network of an IPv4 address counts its bits from the 97th.
	cut := func(shift int64) string {
		if shift >= 128 {
			return "CAST(0 AS UHUGEINT)"
		}
		p := castText(decimalPower(shift))
		return "n // " + p + " * " + p
	}
	v4 := "n"
	if bits <= 32 {
		v4 = cut(32 - bits)
	}
	mask, err := c.r.template(`list_transform(["@1"], lambda n: CASE WHEN n // CAST(4294967296 AS UHUGEINT) = CAST(65535 AS UHUGEINT) THEN `+v4+` ELSE `+cut(128-bits)+` END)[1]`, ip.node)
	if err != nil {
		return operand{}, err
	}
	text, err := c.r.template(ipText, mask)
	if err != nil {
		return operand{}, err
	}
	return operand{node: operatorCall("||", text, textNode(fmt.Sprintf("/%d", bits))), typ: tText}, nil
}

func castText(n string) string { return "CAST('" + n + "' AS UHUGEINT)" }

// decimalPower is 2^n in decimal, for n from 0 to 127.
func decimalPower(n int64) string {
	if n >= 64 {
		return decimal128(1<<(n-64), 0)
	}
	return decimal128(0, 1<<n)
}
