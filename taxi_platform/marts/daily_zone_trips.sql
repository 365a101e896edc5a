-- title: Trips by day and zone
-- description: How many trips began on each day in each zone, how far and how long they went, and what was paid for them.
-- grain: [dataset, source_month, pickup_date, pickup_location_id]
-- columns:
--   - {name: dataset, type: string, description: The dataset the trips are of.}
--   - {name: source_month, type: date, description: First day of the month of the file the trips came from.}
--   - {name: pickup_date, type: date, description: The day they began on.}
--   - {name: pickup_location_id, type: int32, description: The zone they began in; null where none was published.}
--   - {name: trips, type: int64, description: How many there were.}
--   - {name: distance, type: float64, unit: miles, description: How far they went; null where no distance is published.}
--   - {name: minutes, type: float64, unit: minutes, description: How long they took.}
--   - {name: fares, type: float64, unit: USD, description: The fares alone.}
--   - {name: tips, type: float64, unit: USD, description: The tips.}
--   - {name: tolls, type: float64, unit: USD, description: The tolls.}
--   - {name: revenue, type: float64, unit: USD, description: All that was charged; of fhvhv all parts of it that are published.}
-- conserved: {trips: count(*), distance: sum(trip_distance), tips: sum(tip_amount)}
SELECT
    dataset,
    source_month,
    CAST(pickup_datetime AS DATE) AS pickup_date,
    pickup_location_id,
    count(*) AS trips,
    sum(trip_distance) AS distance,
    sum(date_diff('second', pickup_datetime, dropoff_datetime) / 60.0) AS minutes,
    sum(coalesce(fare_amount, base_passenger_fare)) AS fares,
    sum(tip_amount) AS tips,
    sum(tolls_amount) AS tolls,
    sum(coalesce(
        total_amount,
        base_passenger_fare + coalesce(tolls_amount, 0) + coalesce(black_car_fund, 0) + coalesce(sales_tax, 0)
            + coalesce(congestion_surcharge, 0) + coalesce(airport_fee, 0) + coalesce(tip_amount, 0)
            + coalesce(cbd_congestion_fee, 0)
    )) AS revenue
FROM trips
GROUP BY dataset, source_month, CAST(pickup_datetime AS DATE), pickup_location_id
