-- title: What a month's rows are worth
-- description: Per dataset and month, how many trips there are and how many of them lack a zone, a distance or a day in the month.
-- grain: [dataset, source_month]
-- columns:
--   - {name: dataset, type: string, description: The dataset.}
--   - {name: source_month, type: date, description: First day of the month of the file.}
--   - {name: trips, type: int64, description: How many trips there are.}
--   - {name: days, type: int64, description: On how many days of the month one began.}
--   - {name: outside_month, type: int64, description: Trips that began in another month.}
--   - {name: without_pickup_zone, type: int64, description: 'Trips with no zone they began in, or an unknown one (264, 265).'}
--   - {name: without_dropoff_zone, type: int64, description: 'Trips with no zone they ended in, or an unknown one (264, 265).'}
--   - {name: without_distance, type: int64, description: Trips whose distance is missing or zero.}
--   - {name: revenue, type: float64, unit: USD, description: What was charged; null where no total is published.}
-- conserved: {trips: count(*), revenue: sum(total_amount)}
SELECT
    dataset,
    source_month,
    count(*) AS trips,
    count(DISTINCT CASE
        WHEN date_trunc('month', CAST(pickup_datetime AS DATE)) = source_month THEN CAST(pickup_datetime AS DATE)
    END) AS days,
    count(CASE WHEN date_trunc('month', CAST(pickup_datetime AS DATE)) <> source_month THEN 1 END) AS outside_month,
    count(CASE WHEN coalesce(pickup_location_id, 265) IN (264, 265) THEN 1 END) AS without_pickup_zone,
    count(CASE WHEN coalesce(dropoff_location_id, 265) IN (264, 265) THEN 1 END) AS without_dropoff_zone,
    count(CASE WHEN coalesce(trip_distance, 0) = 0 THEN 1 END) AS without_distance,
    sum(total_amount) AS revenue
FROM trips
GROUP BY dataset, source_month
