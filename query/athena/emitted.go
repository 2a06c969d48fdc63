package athena

import (
	"slices"
	"strings"

	"trailward/query/plan"
)

// emitted are the functions that the text we run may call: DuckDB's names, each
// a function of its arguments alone. Anything else in that text is a fault of
// ours, or of the printing of trees, and stops the query.
var emitted = strings.Fields(`
	+ - * / // % || ~~ !~~ ~~* !~~* & | << >>
	abs acos any_value approx_count_distinct approx_quantile arg_max arg_min array_agg array_to_string asin atan atan2 avg
	bit_and bit_count bit_or bool_and bool_or cardinality cbrt ceil chr concat_ws contains corr cos count count_star covar_pop
	covar_samp cume_dist date_sub date_trunc day dayofyear decode degrees dense_rank encode epoch error exp first_value flatten floor
	from_base64 generate_series geomean greatest hamming hex histogram hour isfinite isinf isnan isodow isoyear
	json_array_length json_exists json_extract json_extract_string json_keys json_type kurtosis lag last_day last_value lead least len
	length levenshtein like_escape list_append list_bool_and list_bool_or list_concat list_contains list_distinct list_filter
	list_has_any list_intersect list_max list_min list_position list_prepend list_reduce list_reverse list_slice list_sort list_transform
	list_value list_zip ln log10 log2 lower lpad ltrim make_timestamp map map_concat map_entries map_from_entries map_keys map_values max md5
	millisecond min minute month nfc_normalize not_like_escape nth_value ntile nullif percent_rank pi pow printf quarter radians random range rank
	regexp_extract regexp_extract_all regexp_full_match regexp_matches regexp_replace replace reverse round row row_number rpad rtrim
	second sha1 sha256 sign sin skewness sqrt starts_with stddev_pop stddev_samp strftime string_agg string_split string_split_regex
	strpos strptime struct_extract struct_pack substr suffix sum tan timezone to_base to_base64 to_days to_hours to_json to_minutes to_months to_quarters to_seconds
	to_milliseconds to_weeks to_years translate trim trunc unhex unicode unnest upper url_decode url_encode uuid var_pop var_samp week xor year` +
	" " + plan.MemberFunction + " " + plan.ScalarFunction + " " + plan.ValueFunction + " " + plan.ElementsFunction + " " + plan.ElementValuesFunction)

func emittedFunction(name string) string {
	if slices.Contains(emitted, name) {
		return ""
	}
	return "it is none that a translated query calls"
}
