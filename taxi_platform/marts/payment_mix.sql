-- title: How trips are paid for
-- description: Trips, tips and totals by way of payment. Cash tips are published nowhere, so the tips of cash trips are zero.
-- grain: [dataset, source_month, payment_type]
-- needs: [payment_type]
-- columns:
--   - {name: dataset, type: string, description: The dataset the trips are of.}
--   - {name: source_month, type: date, description: First day of the month of the file the trips came from.}
--   - name: payment_type
--     type: int32
--     description: How they were paid for, by TLC's code; null where none was published.
--     codes: {0: flex fare, 1: credit card, 2: cash, 3: no charge, 4: dispute, 5: unknown, 6: voided trip}
--   - {name: trips, type: int64, description: How many there were.}
--   - {name: fares, type: float64, unit: USD, description: The fares alone.}
--   - {name: tips, type: float64, unit: USD, description: The tips that were paid by card.}
--   - {name: revenue, type: float64, unit: USD, description: All that was charged.}
-- conserved: {trips: count(*), fares: sum(fare_amount), revenue: sum(total_amount)}
SELECT
    dataset,
    source_month,
    payment_type,
    count(*) AS trips,
    sum(fare_amount) AS fares,
    sum(tip_amount) AS tips,
    sum(total_amount) AS revenue
FROM trips
GROUP BY dataset, source_month, payment_type
