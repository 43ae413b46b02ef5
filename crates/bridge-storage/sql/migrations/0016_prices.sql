-- Price lists, each named by the digest of its catalog, and what each response costs by the one that was activated last.
-- Prices are in 10^-18 dollars for a token or a web search. The keys are what a response is looked up by, see
-- clickhouse/prices/keys.rs.

CREATE TABLE IF NOT EXISTS token_prices (
    digest LowCardinality(String),
    provider LowCardinality(String),
    model LowCardinality(String),
    name LowCardinality(String),
    valid_from DateTime64(3, 'UTC'),
    valid_to Nullable(DateTime64(3, 'UTC')),
    speed LowCardinality(String),
    processing LowCardinality(String),
    above UInt64,
    geography LowCardinality(String),
    input Nullable(UInt64),
    output Nullable(UInt64),
    cache_read Nullable(UInt64),
    cache_write_5m Nullable(UInt64),
    cache_write_1h Nullable(UInt64),
    web_search Nullable(UInt64),
    discount UInt16,
    source String,
    period_key UInt64,
    period_end UInt64,
    mode UInt8,
    size_key UInt64,
    line_key UInt32,
    activated_at DateTime64(3, 'UTC')
) ENGINE = ReplacingMergeTree(activated_at) ORDER BY (digest, line_key)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, non_replicated_deduplication_window = 0;

-- Each response with its cost in dollars, or the reason why it has none. The same function as bridge_pricing's
-- Catalog::price, to the last digit; a test compares the two. Each lookup is a binary search in a sorted list of integers
-- or a look-up in a small table, so that no join is needed. Each list has an element in front, because empty ones are not
-- permitted, and they are empty while the view is made and before a price list is stored. In row_problems each reason
-- is a bit, the first that applies is the lowest; it is made of numbers instead of conditions, because the database
-- evaluates branches of conditions for some rows only, which takes several times as long.
CREATE VIEW IF NOT EXISTS token_costs AS
WITH
    (SELECT argMax(toString(digest), (activated_at, digest)) FROM token_prices) AS current_digest,
    (SELECT (arraySort(groupUniqArray(toString(name))), arraySort(groupUniqArray(toString(geography))),
            arraySort(groupUniqArray(period_key)), arraySort(groupUniqArray(period_end)), arraySort(groupUniqArray(size_key)))
        FROM token_prices WHERE digest = current_digest) AS lists,
    (SELECT arrayMap(period -> period.2, arraySort(groupArray((key, modes)))) FROM (
        SELECT period_key AS key, groupBitOr(bitShiftLeft(toUInt64(1), mode)) AS modes
        FROM token_prices WHERE digest = current_digest GROUP BY period_key)) AS period_modes,
    (SELECT arraySort(groupUniqArray((line_key, ifNull(input, 18446744073709551615), ifNull(output, 18446744073709551615),
            ifNull(cache_read, 18446744073709551615), ifNull(cache_write_5m, 18446744073709551615),
            ifNull(cache_write_1h, 18446744073709551615), ifNull(web_search, 18446744073709551615), toUInt64(discount))))
        FROM token_prices WHERE digest = current_digest) AS price_lines,
    (SELECT arraySort(arrayFilter(bound -> bound > 0, arrayDistinct(arrayConcat(lists.3, lists.4))))) AS some_bounds,
    (SELECT arrayMap(bound -> toUInt64(indexOf(lists.3, bound)), some_bounds)) AS some_periods,
    arrayConcat([''], lists.1) AS names,
    arrayConcat([toUInt64(0)], some_bounds) AS bounds,
    arrayConcat([toUInt64(0)], some_periods) AS bound_periods,
    arrayConcat([toUInt64(0)], (SELECT arrayMap(period -> if(period = 0, 0, period_modes[period]), some_periods)))
        AS bound_modes,
    arrayConcat([toUInt64(0)], lists.5) AS sizes,
    arrayConcat([toUInt32(0)], price_lines.1) AS line_keys,
    arrayConcat([toUInt64(0)], price_lines.2) AS inputs,
    arrayConcat([toUInt64(0)], price_lines.3) AS outputs,
    arrayConcat([toUInt64(0)], price_lines.4) AS cache_reads,
    arrayConcat([toUInt64(0)], price_lines.5) AS cache_writes_5m,
    arrayConcat([toUInt64(0)], price_lines.6) AS cache_writes_1h,
    arrayConcat([toUInt64(0)], price_lines.7) AS searches,
    arrayConcat([toUInt64(0)], price_lines.8) AS discounts
SELECT
    * EXCEPT (row_own_name, row_name, row_mode, row_place, row_hour, row_searches, row_bound, row_modes, row_size_key,
        row_line_key, row_input, row_output, row_cache_read, row_cache_write_5m, row_cache_write_1h, row_search, row_list,
        row_worth, row_problems),
    transform(bitAnd(row_problems, -row_problems), [0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512],
        ['', 'no_model', 'unknown_model', 'date', 'speed', 'service_tier', 'geography', 'request_size', 'token_kind',
        'web_search', 'too_large'], '') AS unpriced,
    nullIf(reinterpret(toInt128(row_list * (row_problems = 0)) - (row_problems != 0), 'Decimal(38, 18)'),
        toDecimal128('-0.000000000000000001', 18)) AS list_cost,
    nullIf(reinterpret(toInt128(intDiv(row_list * (row_problems = 0), 1000)
        * (1000 - transform(row_line_key, line_keys, discounts, toUInt64(0)))) - (row_problems != 0), 'Decimal(38, 18)'),
        toDecimal128('-0.000000000000000001', 18)) AS cost,
    ifNull(current_digest, '') AS price_digest
FROM (
    SELECT
        *,
        transform(model, names, arrayMap(place -> place - 1, arrayEnumerate(names)), 0) AS row_own_name,
        toUInt64(row_own_name + (row_own_name = 0 AND provider = 'anthropic' AND model_route = 'direct')
            * transform(canonical_model, names, arrayMap(place -> place - 1, arrayEnumerate(names)), 0)) AS row_name,
        toUInt8(transform(speed, ['', 'standard', 'fast'], [0, 0, 8], 24) + transform(service_tier,
            ['', 'standard', 'default', 'batch', 'priority', 'fast', 'flex'], [0, 0, 0, 1, 2, 2, 3], 7)) AS row_mode,
        transform(inference_geo, arrayConcat(lists.2, ['global', 'not_available']),
            arrayConcat(arrayEnumerate(lists.2), [1, 1]), 0) AS row_place,
        least(cache_creation_1h_tokens, cache_creation_tokens) AS row_hour,
        ifNull(web_search_requests, 0) AS row_searches,
        roundDown(bitOr(bitShiftLeft(row_name, 44), toUInt64(toUnixTimestamp64Milli(time))), bounds) AS row_bound,
        transform(row_bound, bounds, bound_modes, toUInt64(0)) AS row_modes,
        roundDown(bitOr(bitShiftLeft(transform(row_bound, bounds, bound_periods, toUInt64(0)) * 32 + row_mode, 44),
            least(input_tokens, 4398046511104) + least(cache_creation_tokens, 4398046511104)
                + least(cache_read_tokens, 4398046511104)), sizes) AS row_size_key,
        toUInt32(transform(row_size_key, sizes, arrayMap(place -> toUInt64(place - 1), arrayEnumerate(sizes)), toUInt64(0))
            * 16 + row_place) AS row_line_key,
        transform(row_line_key, line_keys, inputs, toUInt64(0)) AS row_input,
        transform(row_line_key, line_keys, outputs, toUInt64(0)) AS row_output,
        transform(row_line_key, line_keys, cache_reads, toUInt64(0)) AS row_cache_read,
        transform(row_line_key, line_keys, cache_writes_5m, toUInt64(0)) AS row_cache_write_5m,
        transform(row_line_key, line_keys, cache_writes_1h, toUInt64(0)) AS row_cache_write_1h,
        transform(row_line_key, line_keys, searches, toUInt64(0)) AS row_search,
        toUInt128(input_tokens) * row_input + toUInt128(output_tokens) * row_output
            + toUInt128(cache_read_tokens) * row_cache_read
            + toUInt128(cache_creation_tokens - row_hour) * row_cache_write_5m
            + toUInt128(row_hour) * row_cache_write_1h + toUInt128(row_searches) * row_search AS row_list,
        bitOr(bitOr(bitOr(input_tokens, output_tokens), bitOr(cache_creation_tokens, cache_read_tokens)), row_searches) != 0
            AS row_worth,
        toInt32(row_worth) * (
            (model = '')
            + 2 * (row_name = 0)
            + 4 * (row_modes = 0)
            + 8 * (bitAnd(bitShiftRight(row_modes, bitAnd(row_mode, 24)), 1) = 0)
            + 16 * (bitAnd(bitShiftRight(row_modes, row_mode), 1) = 0)
            + 32 * (transform(row_line_key, line_keys, line_keys, toUInt32(0)) = 0)
            + 64 * bitAnd(origin = 'summed', bitAnd(row_size_key, 17592186044415) > 0)
            + 128 * bitOr(bitOr(bitOr(bitAnd(row_input = 18446744073709551615, input_tokens > 0),
                bitAnd(row_output = 18446744073709551615, output_tokens > 0)),
                bitOr(bitAnd(row_cache_read = 18446744073709551615, cache_read_tokens > 0),
                bitAnd(row_cache_write_5m = 18446744073709551615, cache_creation_tokens > row_hour))),
                bitAnd(row_cache_write_1h = 18446744073709551615, row_hour > 0))
            + 256 * bitAnd(row_search = 18446744073709551615, row_searches > 0)
            + 512 * (row_list > toUInt128('170141183460469231731687303715884105727'))) AS row_problems
    FROM (
        SELECT *, canonical_model, provider, model_route FROM token_usage FINAL WHERE origin NOT IN ('covered', 'analysis')
    )
);
