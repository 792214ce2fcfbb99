"""Referral purchases (推荐购车): pre-registered (报备), followed up, and a success when the car is delivered."""
