package duck

/*
#include <stdint.h>
#include <string.h>

typedef void *handle;
uint64_t duckdb_data_chunk_get_size(handle chunk);
handle duckdb_data_chunk_get_vector(handle chunk, uint64_t column);
void *duckdb_vector_get_data(handle vector);
uint64_t *duckdb_vector_get_validity(handle vector);
void duckdb_vector_ensure_validity_writable(handle vector);
void duckdb_validity_set_row_invalid(uint64_t *validity, uint64_t row);
void duckdb_vector_assign_string_element_len(handle vector, uint64_t index, const char *text, uint64_t size);

// A text in a vector: its length, and the text itself where it is short (the
// layout of duckdb_string_t, which is part of the C interface).
struct short_text {
	uint32_t size;
	char bytes[12];
};

static char octets[256][3];
static uint8_t octet_sizes[256];

static void trailward_address_init(void) {
	for (int i = 0; i < 256; i++) {
		int n = 0;
		if (i >= 100) octets[i][n++] = '0' + i / 100;
		if (i >= 10) octets[i][n++] = '0' + i / 10 % 10;
		octets[i][n++] = '0' + i % 10;
		octet_sizes[i] = n;
	}
}

static void trailward_address(handle info, handle input, handle output) {
	(void)info;
	uint64_t n = duckdb_data_chunk_get_size(input);
	const int64_t *in = duckdb_vector_get_data(duckdb_data_chunk_get_vector(input, 0));
	const uint64_t *valid = duckdb_vector_get_validity(duckdb_data_chunk_get_vector(input, 0));
	struct short_text *out = duckdb_vector_get_data(output);
	for (uint64_t i = 0; i < n; i++) {
		if (valid && !(valid[i >> 6] >> (i & 63) & 1)) {
			duckdb_vector_ensure_validity_writable(output);
			duckdb_validity_set_row_invalid(duckdb_vector_get_validity(output), i);
			continue;
		}
		uint32_t a = (uint32_t)in[i];
		char text[20];
		int size = 0;
		for (int shift = 24;; shift -= 8) {
			uint8_t o = (uint8_t)(a >> shift);
			memcpy(text + size, octets[o], 3);
			size += octet_sizes[o];
			if (shift == 0) break;
			text[size++] = '.';
		}
		if (size <= (int)sizeof out->bytes) {
			out[i].size = (uint32_t)size;
			memset(out[i].bytes, 0, sizeof out->bytes);
			memcpy(out[i].bytes, text, (size_t)size);
		} else {
			duckdb_vector_assign_string_element_len(output, i, text, (uint64_t)size);
		}
	}
}

typedef void (*trailward_address_function)(handle, handle, handle);
static trailward_address_function trailward_address_pointer(void) { return trailward_address; }
*/
import "C"

import (
	"sync"
	"unsafe"

	duckdb "github.com/duckdb/duckdb-go-bindings"
)

// AddressFunction is the SQL function that writes an IPv4 address, given as its
// 32 bits, in dotted decimal: trailward_address(BIGINT) VARCHAR. It is in C:
// said in SQL, or called in Go for each record, it would take ten times as long
// as reading the column.
const AddressFunction = "trailward_address"

var initAddress = sync.OnceFunc(func() { C.trailward_address_init() })

func registerAddress(conn duckdb.Connection) error {
	initAddress()
	return scalar{
		name: AddressFunction, args: []duckdb.Type{duckdb.TypeBigInt}, returns: duckdb.TypeVarchar,
		call: unsafe.Pointer(C.trailward_address_pointer()),
	}.register(conn)
}
